import express from 'express';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gate } from '../sdk/fixtures/gates.ts';

interface ChatRequest {
  messages: { content: string }[];
}

/**
 * Speaks the OpenAI API as far as a chat needs it, and answers "You said: …" word by word. What is asked for slowly
 * waits after the first word at the gate that the question names, until the test opens it.
 */
export class StandInModel {
  readonly #server: Server;
  #answers = 0;

  private constructor() {
    const app = express().use(express.json());
    app.post('/v1/chat/completions', async (req, res) => {
      const asked = (req.body as ChatRequest).messages.at(-1)?.content ?? '';
      const id = `chatcmpl-${++this.#answers}`;
      const send = (delta: object, finish_reason: string | null = null) =>
        res.write(`data: ${JSON.stringify({ id, choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
      res.setHeader('content-type', 'text/event-stream');
      res.on('close', () => gate(`left ${asked}`).open());
      for (const [index, word] of `You said: ${asked}`.split(' ').entries()) {
        if (index === 1 && asked.startsWith('slowly')) await gate(asked).pass();
        send({ role: 'assistant', content: index === 0 ? word : ` ${word}` });
      }
      send({}, 'stop');
      res.end('data: [DONE]\n\n');
    });
    this.#server = createServer(app);
  }

  static async start(): Promise<StandInModel> {
    const model = new StandInModel();
    await once(model.#server.listen(0, '127.0.0.1'), 'listening');
    return model;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  /** How many questions it was asked. */
  get answers(): number {
    return this.#answers;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

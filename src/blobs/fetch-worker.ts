import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { S3Location } from './s3-location.ts';

export interface Fetched {
  status: number;
  body: Uint8Array;
}

/** Fetches objects while this thread stands still: another one does it. */
export class FetchWorker {
  readonly #worker: Worker;

  constructor({ endpoint, region, accessKeyId, secretAccessKey }: S3Location) {
    // Plain JavaScript: a thread has no loader for TypeScript.
    this.#worker = new Worker(new URL('./fetch-thread.mjs', import.meta.url), {
      workerData: { endpoint, region, accessKeyId, secretAccessKey },
      execArgv: [],
    });
    this.#worker.unref();
    this.#worker.on('error', () => undefined); // whoever waits for an answer is told by the clock
  }

  get(path: string, query: Record<string, string>, timeoutMs: number): Fetched {
    const answered = new Int32Array(new SharedArrayBuffer(4));
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ path, query, timeoutMs, answered, port: port2 }, [port2]);
    try {
      if (Atomics.wait(answered, 0, 0, timeoutMs + 1000) === 'timed-out') throw new Error('no answer in time');
      const { message } = receiveMessageOnPort(port1) as { message: Fetched | { error: string } };
      if ('error' in message) throw new Error(message.error);
      return message;
    } finally {
      port1.close();
    }
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { S3Location } from './s3-location.ts';

export interface Fetched {
  status: number;
  body: Uint8Array;
}

export interface BlockingFetch {
  path: string;
  query: Record<string, string>;
  /** For all attempts together. */
  timeoutMs: number;
  /** Between attempts: one more than these. */
  pausesMs: readonly number[];
}

/** Fetches objects while this thread stands still: another one does it. */
export class FetchWorker {
  readonly #worker: Worker;
  isGone = false;

  constructor({ endpoint, region, accessKeyId, secretAccessKey }: S3Location) {
    // Plain JavaScript: a thread has no loader for TypeScript.
    this.#worker = new Worker(new URL('./fetch-thread.mjs', import.meta.url), {
      workerData: { endpoint, region, accessKeyId, secretAccessKey },
      execArgv: [],
    });
    this.#worker.unref();
    this.#worker.on('error', () => undefined); // whoever waits for an answer is told by the clock
    this.#worker.on('exit', () => (this.isGone = true));
  }

  /** @throws Error when there is no answer in time, or none but that of a server that is busy or broken. */
  get(request: BlockingFetch): Fetched {
    const answered = new Int32Array(new SharedArrayBuffer(4));
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ ...request, answered, port: port2 }, [port2]);
    try {
      if (Atomics.wait(answered, 0, 0, request.timeoutMs + 500) === 'timed-out') throw new Error('no answer in time');
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

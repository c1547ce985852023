import { extname } from 'node:path';
import { Worker as Thread } from 'node:worker_threads';
import { messageOf } from '../../../core/errors.ts';
import type { GraphSource } from '../../../core/graph-source.ts';
import type { GraphTypes } from './graph-types.ts';

export interface TypeReaderOptions {
  /** The module of the compiler to read with. */
  compiler: string;
  /** A thread that needs more ends, and nothing else with it. */
  heapMb: number;
  /** For one graph. */
  limitMs: number;
}

export type ReaderAnswer = GraphTypes | { error: string };

/** Reads the types of graphs, one after the other, in a thread that is there while there is something to read. */
export class TypeReader {
  readonly #options: TypeReaderOptions;
  #thread: Thread | null = null;
  #answer: (answer: ReaderAnswer) => void = () => undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #stopped = false;

  constructor(options: TypeReaderOptions) {
    this.#options = options;
  }

  /** Never rejects: a thread that dies, or takes too long, is an answer, too. */
  async read(source: GraphSource): Promise<ReaderAnswer> {
    this.#waiting += 1;
    const turn = this.#turn.then(() => this.#readNow(source));
    this.#turn = turn;
    const answer = await turn;
    this.#waiting -= 1;
    if (this.#waiting === 0) await this.#end('nothing is left to read');
    return answer;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#end('the server stops');
  }

  async #readNow(source: GraphSource): Promise<ReaderAnswer> {
    if (this.#stopped) return { error: 'the server stops' };
    const { limitMs } = this.#options;
    const timer = setTimeout(() => void this.#end(`it took more than ${limitMs / 1000} s`), limitMs);
    const answer = new Promise<ReaderAnswer>((resolve) => (this.#answer = resolve));
    this.#thread ??= this.#start();
    this.#thread.postMessage(source);
    return answer.finally(() => clearTimeout(timer));
  }

  #start(): Thread {
    const { compiler, heapMb } = this.#options;
    const here = import.meta.url;
    const thread = new Thread(new URL('type-reader-thread.mjs', here), {
      execArgv: [],
      workerData: { compiler, readerUrl: new URL(`graph-types${extname(here)}`, here).href },
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
    });
    thread.unref();
    thread.on('message', (answer: ReaderAnswer) => this.#answer(answer));
    thread.on('error', (error) => this.#onGone(thread, messageOf(error)));
    thread.on('exit', () => this.#onGone(thread, 'its thread ended'));
    return thread;
  }

  #onGone(thread: Thread, reason: string): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    this.#answer({ error: reason });
  }

  async #end(reason: string): Promise<void> {
    const thread = this.#thread;
    if (!thread) return;
    this.#onGone(thread, reason);
    await thread.terminate();
  }
}

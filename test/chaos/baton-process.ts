import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import type { PostgresProxy } from './postgres-proxy.ts';

const CONFIG = fileURLToPath(new URL('langgraph.json', import.meta.url));
const SKEW = new URL('skewed-clock.mjs', import.meta.url).href;
const READY_MS = 60_000;

export interface BatonProcessOptions {
  name: string;
  /** The folder of the Baton that is tried: a checkout. */
  baton: string;
  args: string[];
  env: Record<string, string>;
  proxy: PostgresProxy;
  /** What it says is kept there. */
  logFile: string;
}

/** One `baton` command that is kept up, as a supervisor does, and that the nemesis may do anything to. */
export class BatonProcess {
  readonly name: string;
  readonly proxy: PostgresProxy;
  /** How often it ended although nobody had made it. */
  fell = 0;
  #child: ChildProcess | null = null;
  #isReady = false;
  readonly #options: BatonProcessOptions;

  constructor(options: BatonProcessOptions) {
    this.name = options.name;
    this.proxy = options.proxy;
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it is ready. One that ends on the way there, as it does without a database, is started again. */
  async start({ skewMs = 0 } = {}): Promise<void> {
    for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await pause(200)) {
      const child = this.#spawn(skewMs);
      const startedAt = statSync(this.#options.logFile).size;
      this.#child = child;
      while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
        if (tail(this.#options.logFile, startedAt).includes('is ready')) {
          this.#isReady = true;
          child.once('exit', () => this.#ended(child));
          return;
        }
        await pause(50);
      }
      child.kill('SIGKILL');
    }
    throw new Error(`${this.name} was not ready within ${READY_MS / 1000} s: ${this.said().slice(-2000)}`);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** Resolves when it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#isReady = false;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  said(): string {
    return readFileSync(this.#options.logFile, 'utf8');
  }

  #spawn(skewMs: number): ChildProcess {
    const { baton, args, env, proxy, logFile } = this.#options;
    const output = openSync(logFile, 'a');
    const skewed = skewMs === 0 ? {} : { NODE_OPTIONS: `--import ${SKEW}`, CHAOS_SKEW_MS: String(skewMs) };
    const child = spawn(process.execPath, ['bin/baton.js', ...args, '--config', CONFIG], {
      cwd: baton,
      stdio: ['ignore', output, output],
      env: { ...process.env, STATE_URL: '', ...env, DATABASE_URL: proxy.url, ...skewed },
    });
    closeSync(output);
    return child;
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child || !this.#isReady) return;
    this.#isReady = false;
    this.fell += 1;
  }
}

function tail(file: string, from: number): string {
  const handle = openSync(file, 'r');
  const buffer = Buffer.alloc(Math.max(0, statSync(file).size - from));
  readSync(handle, buffer, 0, buffer.length, from);
  closeSync(handle);
  return buffer.toString();
}

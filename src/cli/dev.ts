import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { loadConfig, type BatonConfig } from '../config/config.ts';
import { startPostgres } from '../database/embedded/start-postgres.ts';
import { banner, type Ready } from './banner.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';
import { assertPortFree } from './serve.ts';
import { stopRequest } from './stop-request.ts';
import { watchSources } from './watch-sources.ts';

/** After this a child that was told to stop is killed: its runs go on once their leases have run out. */
const STOP_LIMIT_MS = 6000;
/** A server that was up for longer than this did not fail because of its sources: it is started again. */
const WAS_HEALTHY_MS = 1000;

/** Serves a project in a child process, and replaces the child when the project's files change. Threads and runs stay. */
export async function dev({ configPath, flags }: CliOptions, args: string[]): Promise<void> {
  const stopped = stopRequest();
  const config = loadConfig({ configPath, flags });
  await assertPortFree(config.http);
  const child = new DevChild(config, args);
  // This process and its children share one Postgres; held here, it stays up while they come and go.
  const postgres = holdPostgres(config);
  try {
    const started = await Promise.race([child.start(), stopped]);
    if (started === 'failed') {
      process.exitCode = 1;
      return;
    }
    const unwatch = watchSources(config.projectDir, (file) => void child.replace(`${file} changed`));
    await stopped;
    unwatch();
  } finally {
    await child.stop();
    await (await postgres)?.stop();
  }
}

async function holdPostgres({ databaseUrl, dataDir }: BatonConfig) {
  if (databaseUrl !== null) return null;
  const log = createLogger('silent');
  // The child starts it too, and says what is wrong when that fails.
  return startPostgres({ dataDir: join(dataDir, 'postgres'), log }).catch(() => null);
}

class DevChild {
  readonly #config: BatonConfig;
  readonly #args: string[];
  #process: ChildProcess | null = null;
  #ending = false;
  /** Why the next start happens; null when none is due. */
  #due: string | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(config: BatonConfig, args: string[]) {
    this.#config = config;
    this.#args = [...args];
  }

  async start(): Promise<'ready' | 'failed'> {
    const ready = await this.#launch();
    if (ready) console.log(banner(this.#config, ready));
    return ready ? 'ready' : 'failed';
  }

  /** Changes that come while a replacement is due are part of it. */
  async replace(reason: string): Promise<void> {
    const due = this.#due !== null;
    this.#due = reason;
    if (due) return;
    this.#turn = this.#turn.then(async () => {
      const since = performance.now();
      await this.#stopProcess();
      const why = this.#due;
      this.#due = null;
      if (this.#ending) return;
      const ready = await this.#launch();
      const took = Math.round(performance.now() - since);
      console.log(ready ? `${why}: started again in ${took} ms` : `${why}: not started, waiting for the next change`);
    });
    await this.#turn;
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.#stopProcess();
    await this.#turn;
  }

  /** Null when the child ended before it was ready; it has said why. */
  async #launch(): Promise<Ready | null> {
    const child = fork(process.argv[1] ?? '', ['dev-server', ...this.#args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#process = child;
    const exited = once(child, 'exit').then(() => null);
    const ready = await Promise.race([once(child, 'message').then(([message]) => message as Ready), exited]);
    if (ready) {
      this.#keepPort(ready.url);
      const readyAtMs = performance.now();
      child.once('exit', () => this.#onExit(child, performance.now() - readyAtMs));
    }
    return ready;
  }

  #onExit(child: ChildProcess, wasUpMs: number): void {
    if (this.#process !== child || this.#ending) return;
    this.#process = null;
    const how = `The server ended (${child.signalCode ?? `exit code ${child.exitCode}`})`;
    if (wasUpMs > WAS_HEALTHY_MS) void this.replace(how);
    else console.log(`${how}: waiting for the next change`);
  }

  async #stopProcess(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    if (child.connected) child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await exited;
    clearTimeout(timer);
  }

  /** With `--port 0` the first child chose one: the next ones keep it, for the clients' sake. */
  #keepPort(url: string | null): void {
    if (this.#config.http.port === 0 && url) {
      this.#args.push('--port', new URL(url).port);
    }
  }
}

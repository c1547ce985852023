import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { loadConfig, type BatonConfig } from '../config/config.ts';
import { startPostgres } from '../database/embedded/start-postgres.ts';
import { banner, type Ready } from './banner.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';
import { assertPortFree } from './serve.ts';
import { STOP, stopRequest } from './stop-request.ts';
import { watchSources } from './watch-sources.ts';

/** After this a child that was told to stop is killed: its runs go on once their leases have run out. */
const STOP_LIMIT_MS = 6000;
/** A server that ends by itself is started again, but not for ever with the same sources. */
const MAX_CRASHES = 5;

/** Serves a project in a child process, and replaces the child when the project's files change. Threads and runs stay. */
export async function dev({ configPath, flags }: CliOptions, args: string[]): Promise<void> {
  const stopped = stopRequest();
  const config = loadConfig({ configPath, flags });
  await assertPortFree(config.http);
  const child = new DevChild(config, args);
  // This process and its children share one Postgres; held here, it stays up while they come and go.
  const postgres = holdPostgres(config);
  const unwatch = watchSources(config.projectDir, (file) => child.onChange(file));
  try {
    const started = await Promise.race([child.start(), stopped]);
    if (started === 'failed') process.exitCode = 1;
    else await stopped;
  } finally {
    unwatch();
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
  /** Starts and replacements, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #crashes = 0;

  constructor(config: BatonConfig, args: string[]) {
    this.#config = config;
    this.#args = [...args];
  }

  async start(): Promise<'ready' | 'failed'> {
    const launching = this.#launch();
    this.#turn = launching;
    const ready = await launching;
    if (ready) console.log(banner(this.#config, ready));
    return ready ? 'ready' : 'failed';
  }

  onChange(file: string): void {
    this.#crashes = 0;
    this.#replace(`${file} changed`);
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.#stopProcess();
    await this.#turn;
  }

  /** Changes that come while a replacement is due are part of it. */
  #replace(reason: string): void {
    const isDue = this.#due !== null;
    this.#due = reason;
    if (!isDue) this.#turn = this.#turn.then(() => this.#replaceNow());
  }

  async #replaceNow(): Promise<void> {
    const startedAtMs = performance.now();
    await this.#stopProcess();
    const reason = this.#due;
    this.#due = null;
    if (this.#ending) return;
    const ready = await this.#launch();
    const tookMs = Math.round(performance.now() - startedAtMs);
    console.log(
      ready ? `${reason}: started again in ${tookMs} ms` : `${reason}: not started, waiting for the next change`,
    );
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
      child.once('exit', () => this.#onExit(child));
    }
    return ready;
  }

  #onExit(child: ChildProcess): void {
    if (this.#process !== child || this.#ending) return;
    this.#process = null;
    this.#crashes += 1;
    const reason = `The server ended (${child.signalCode ?? `exit code ${child.exitCode}`})`;
    if (this.#crashes <= MAX_CRASHES) this.#replace(reason);
    else console.log(`${reason} once more: waiting for the next change`);
  }

  async #stopProcess(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    // It may have ended already, by the same Ctrl-C: its exit says so, too.
    if (child.connected) child.send(STOP, () => undefined);
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

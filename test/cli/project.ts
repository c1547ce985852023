import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BATON = fileURLToPath(new URL('../../bin/baton.js', import.meta.url));

/** A project of a user's, in a folder far from the checkout. */
export class TestProject {
  readonly dir: string;
  readonly #processes: BatonProcess[] = [];

  constructor(files: Record<string, string> = {}) {
    this.dir = realpathSync(mkdtempSync(join(tmpdir(), 'baton-project-')));
    chmodSync(this.dir, 0o755); // the embedded Postgres runs as another user when the tests run as root
    this.write(files);
  }

  write(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.dir, name)), { recursive: true });
      writeFileSync(join(this.dir, name), text);
    }
  }

  /** Starts `baton`, as a person in this folder would. */
  baton(args: string[], env: Record<string, string> = {}): BatonProcess {
    return this.node([BATON, ...args], env);
  }

  node(args: string[], env: Record<string, string> = {}): BatonProcess {
    const started = new BatonProcess(args, this.dir, env);
    this.#processes.push(started);
    return started;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#processes.map((started) => started.end()));
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class BatonProcess {
  readonly child: ChildProcess;
  /** Both streams, as they came. */
  output = '';
  readonly exit: Promise<number | null>;
  #onOutput = (): void => {};

  constructor(args: string[], cwd: string, env: Record<string, string>) {
    const { DATABASE_URL: _, ...inherited } = process.env;
    // A process group of its own: Ctrl-C in a terminal goes to the whole group.
    this.child = spawn(process.execPath, args, { cwd, env: { ...inherited, ...env }, detached: true });
    this.exit = once(this.child, 'close').then(([code]) => code as number | null);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this.#onOutput();
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The first match in what is said from now on, or since `from`. Rejects when the process ends without saying it. */
  async says(pattern: RegExp, from = 0): Promise<RegExpMatchArray> {
    const said = new Promise<RegExpMatchArray>((resolve) => {
      const look = (): void => {
        const match = this.output.slice(from).match(pattern);
        if (match) resolve(match);
      };
      this.#onOutput = look;
      look();
    });
    const ended = this.exit.then(() => {
      const match = this.output.slice(from).match(pattern);
      if (match) return match;
      throw new Error(`It ended without saying ${pattern}: ${this.output}`);
    });
    return Promise.race([said, ended]);
  }

  /** The address of the API, once it is ready. */
  async url(): Promise<string> {
    return (await this.says(/API +(http\S+)/))[1] ?? '';
  }

  /** As a terminal does: to every process of the group. */
  ctrlC(): void {
    process.kill(-this.pid, 'SIGINT');
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGTERM');
    await this.exit;
  }
}

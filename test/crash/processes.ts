import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('server-process.ts', import.meta.url));

/** Real server processes on one database, to be killed. */
export class Processes {
  readonly running = new Set<ChildProcess>();
  readonly #databaseUrl: string;

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl;
  }

  /** Resolves when it is ready. `port` 0 = any. */
  async start(role: 'api' | 'worker', port = 0): Promise<{ process: ChildProcess; url: string }> {
    const child = fork(SERVER, {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, DATABASE_URL: this.#databaseUrl, STATE_URL: '', PORT: String(port), ROLE: role },
    });
    this.running.add(child);
    child.once('exit', () => this.running.delete(child));
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the ${role} ended before it was ready: ${signal ?? code}`);
    });
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [{ url: string }];
    ended.catch(() => undefined); // from here on it may end
    return { process: child, url: message.url };
  }

  killAll(): void {
    for (const child of this.running) child.kill('SIGKILL');
  }
}

export async function killed(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { processEnv } from '../../config/env.ts';

/** A real worker in a process of its own, which can be killed. */
export class WorkerProcess {
  readonly #child: ChildProcess;

  constructor(configPath: string, env: Readonly<Record<string, string>>) {
    this.#child = fork(process.argv[1] ?? '', ['worker', '--config', configPath], {
      env: { ...processEnv(), ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** As `kill -9` does: nothing in the process has a chance to tidy up. */
  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** Lets it hand back what it has and end. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    await exited;
  }
}

import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../random.ts';
import type { BatonProcess } from './baton-process.ts';
import type { Cluster } from './cluster.ts';

/** What was done, to whom, and from when to when (milliseconds since the epoch). */
export interface Fault {
  kind: string;
  on: string;
  /** Of the process that it befell; 0 for Postgres. */
  pid: number;
  from: number;
  to: number;
}

interface NemesisOptions {
  random: Random;
  cluster: Cluster;
  api: BatonProcess;
  workers: readonly BatonProcess[];
  leaseMs: number;
  /** Only these kinds; default: all. */
  kinds?: readonly string[];
  log: (line: string) => void;
}

type Deed = (victim: BatonProcess) => Promise<void>;

/** Between two restarts of Postgres there is time to come back. */
const RESTART_REST_MS = 8000;

/** Does to processes, to their connections and to Postgres whatever may happen to them, by a seed. */
export class Nemesis {
  readonly faults: Fault[] = [];
  readonly #options: NemesisOptions;
  readonly #struck = new Set<BatonProcess>();
  #restartedAt = 0;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** Resolves when everything is sound again. */
  async rage(untilMs: number): Promise<void> {
    const { random, log } = this.#options;
    const menu = this.#menu();
    const underWay = new Set<Promise<void>>();
    while (Date.now() < untilMs) {
      await pause(random.int(200, 1000));
      const [kind, victims, deed] = random.pick(menu);
      const victim = victims && random.pick(victims);
      if (victim && !this.#mayStrike(victim)) continue;
      const work = this.#strike(kind, victim, deed).catch((error: unknown) => log(`${kind} failed: ${String(error)}`));
      underWay.add(work);
      void work.finally(() => underWay.delete(work));
    }
    await Promise.all(underWay);
  }

  /** One worker is left alone at any time: what nobody can execute says nothing. */
  #mayStrike(victim: BatonProcess): boolean {
    const isSound = (process: BatonProcess): boolean => process.isReady && !this.#struck.has(process);
    return isSound(victim) && this.#options.workers.some((worker) => worker !== victim && isSound(worker));
  }

  /** The clock of the last worker is wrong, each time otherwise. */
  skewOf(worker: BatonProcess): { skewMs: number } {
    const { random, workers } = this.#options;
    const isSkewed = worker === workers.at(-1) && this.#allows('clock skew');
    return { skewMs: isSkewed ? random.pick([-1, 1]) * random.int(60_000, 3_600_000) : 0 };
  }

  async #strike(kind: string, victim: BatonProcess | null, deed: Deed): Promise<void> {
    if (!victim && Date.now() - this.#restartedAt < RESTART_REST_MS) return;
    const fault: Fault = {
      kind,
      on: victim?.name ?? 'Postgres',
      pid: victim?.pid ?? 0,
      from: Date.now(),
      to: Infinity,
    };
    this.faults.push(fault);
    if (victim) this.#struck.add(victim);
    try {
      await deed(victim as BatonProcess);
    } finally {
      fault.to = Date.now();
      if (victim) this.#struck.delete(victim);
    }
  }

  #menu(): [kind: string, victims: readonly BatonProcess[] | null, deed: Deed][] {
    const { random, api, workers, leaseMs } = this.#options;
    const all = [api, ...workers];
    const again = async (worker: BatonProcess) => {
      await pause(random.int(0, 1000));
      await worker.start(this.skewOf(worker));
    };
    const menu: [string, readonly BatonProcess[] | null, Deed][] = [
      ['kill a worker', workers, async (worker) => worker.end('SIGKILL').then(() => again(worker))],
      ['kill a worker', workers, async (worker) => worker.end('SIGKILL').then(() => again(worker))],
      ['terminate a worker', workers, async (worker) => worker.end('SIGTERM').then(() => again(worker))],
      ['freeze a worker', workers, (worker) => this.#freeze(worker, random.int(leaseMs * 1.2, leaseMs * 2.5))],
      ['freeze a worker', workers, (worker) => this.#freeze(worker, random.int(100, leaseMs))],
      ['kill the API', [api], async () => api.end('SIGKILL').then(() => api.start())],
      ['freeze the API', [api], () => this.#freeze(api, random.int(100, 1500))],
      ['restart Postgres', null, () => this.#restart()],
      ['cut connections', all, async ({ proxy }) => proxy.cut()],
      ['reset connections', all, async ({ proxy }) => proxy.reset()],
      ['stall the network', all, ({ proxy }) => proxy.stall(random.int(100, 1500))],
      ['partition a worker', workers, ({ proxy }) => proxy.stall(random.int(leaseMs * 1.2, leaseMs * 2.5))],
      ['slow disk', all, ({ proxy }) => this.#slow(proxy)],
      ['lost notifications', all, ({ proxy }) => this.#notify(proxy, 'lose')],
      ['doubled notifications', all, ({ proxy }) => this.#notify(proxy, 'double')],
    ];
    return menu.filter(([kind]) => this.#allows(kind));
  }

  #allows(kind: string): boolean {
    return this.#options.kinds?.includes(kind) ?? true;
  }

  async #freeze(victim: BatonProcess, ms: number): Promise<void> {
    victim.signal('SIGSTOP');
    await pause(ms);
    victim.signal('SIGCONT');
  }

  async #restart(): Promise<void> {
    this.#restartedAt = Infinity;
    try {
      await this.#options.cluster.restart(this.#options.random.int(0, 1500));
    } finally {
      this.#restartedAt = Date.now();
    }
  }

  async #slow(proxy: BatonProcess['proxy']): Promise<void> {
    proxy.delayMs = this.#options.random.int(5, 40);
    await pause(this.#options.random.int(500, 3000));
    proxy.delayMs = 0;
  }

  async #notify(proxy: BatonProcess['proxy'], what: 'lose' | 'double'): Promise<void> {
    proxy.notifications = what;
    await pause(this.#options.random.int(500, 3000));
    proxy.notifications = 'pass';
  }
}

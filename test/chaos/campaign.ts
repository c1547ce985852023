import { cp, mkdtemp, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { CuttingProxy } from '../cutting-proxy.ts';
import { Random } from '../random.ts';
import { BatonProcess } from './baton-process.ts';
import { violations, type Violation } from './checks.ts';
import { Cluster } from './cluster.ts';
import { Nemesis, type Fault } from './nemesis.ts';
import { OutsideWorld } from './outside-world.ts';
import { makePlan } from './plan.ts';
import { PostgresProxy } from './postgres-proxy.ts';
import { recoveryTimes, type RecoveryTimes } from './recovery.ts';
import { StateStore } from './state-store.ts';
import { Traveller } from './traveller.ts';

export interface CampaignOptions {
  /** How long faults come; what is under way may end after that. */
  ms: number;
  seed: number;
  /** The folder of the Baton that is tried. */
  baton?: string;
  /** Only these kinds of faults; default: all. */
  kinds?: readonly string[];
  /** Clients at once. */
  travellers?: number;
  /** The STATE_URL of all processes; `sqlite:` is a file of the campaign's own. Default: the suite's Postgres. */
  stateUrl?: string;
  log: (line: string) => void;
}

export interface CampaignReport {
  faults: readonly Fault[];
  /** Connections of readers that were broken. */
  cutReaders: number;
  notifications: number;
  runs: number;
  attempts: number;
  nodes: { begun: number; repeated: number };
  actions: { done: number; calls: number };
  /** Attempts that woke up and were refused. */
  refused: number;
  recovery: RecoveryTimes;
  violations: Violation[];
  /** Where the logs of the processes are kept when something was broken. */
  logs: string | null;
}

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const LEASE_SECONDS = 2;
/** For what is under way when the faults are over. */
const PATIENCE_MS = 120_000;

/** Real processes, clients that want something of them, and a nemesis; then what came of it. */
export async function campaign(options: CampaignOptions): Promise<CampaignReport> {
  const { seed, log } = options;
  const cluster = await Cluster.start();
  const closing: (() => Promise<unknown>)[] = [() => cluster.stop()];
  try {
    const stateUrl = options.stateUrl?.replace(/^sqlite:$/, `sqlite:${join(cluster.directory, 'state.db')}`);
    const state = stateUrl === undefined ? null : await StateStore.open(stateUrl);
    if (state) closing.unshift(() => state.close());
    const world = await OutsideWorld.listen({ database: cluster.pool, state, seed: seed + 1 });
    closing.unshift(() => world.close());
    const { api, workers, url } = await startFleet(
      cluster,
      world,
      { ...options, ...(stateUrl && { stateUrl }) },
      closing,
    );
    const network = await CuttingProxy.listen({
      target: url,
      seed: seed + 2,
      fates: ['pass', 'cut', 'reset', 'stall', 'delay'],
      bytes: [300, 20_000],
    });
    closing.unshift(() => network.close());
    const traveller = new Traveller({ url, brokenUrl: network.url, random: new Random(seed + 3) });
    const nemesis = new Nemesis({
      random: new Random(seed),
      cluster,
      api,
      workers,
      leaseMs: LEASE_SECONDS * 1000,
      log,
      ...(options.kinds && { kinds: options.kinds }),
    });
    const late = await live({ traveller, nemesis, options });
    const { journeys, readings, sittings } = traveller;
    const evidence = { journeys, readings, sittings, pool: cluster.pool, state, world, faults: nemesis.faults };
    const found = [
      ...late,
      ...[api, ...workers].flatMap(({ name, fell }) =>
        fell > 0 ? [{ rule: 'no process ends by itself', detail: `${name}: ${fell} times` }] : [],
      ),
      ...(await violations(evidence)),
    ];
    return {
      ...(await countsOf(cluster)),
      faults: nemesis.faults,
      cutReaders: network.struck,
      notifications: [api, ...workers].reduce((sum, { proxy }) => sum + proxy.touched, 0),
      nodes: { begun: world.begun, repeated: world.repeated },
      actions: {
        done: world.actions.size,
        calls: [...world.actions.values()].reduce((sum, { calls }) => sum + calls, 0),
      },
      refused: workers.reduce((sum, worker) => sum + worker.said().split('a newer attempt has this run').length - 1, 0),
      recovery: await recoveryTimes(cluster.pool, nemesis.faults),
      violations: found,
      logs: found.length > 0 ? await keepLogs(cluster.directory) : null,
    };
  } finally {
    for (const close of closing) await close().catch((error: unknown) => log(String(error)));
  }
}

async function startFleet(
  cluster: Cluster,
  world: OutsideWorld,
  { baton = CHECKOUT, stateUrl = '' }: CampaignOptions,
  closing: (() => Promise<unknown>)[],
) {
  const port = await freePort();
  const env = {
    BATON_LEASE_SECONDS: String(LEASE_SECONDS),
    BATON_GRACE_SECONDS: '1',
    BATON_PARK_AFTER_SECONDS: '1',
    // Faults come faster here than anywhere: what is given up is to be Baton's fault.
    BATON_MAX_ATTEMPTS: '100',
    CHAOS_WORLD_URL: world.url,
    STATE_URL: stateUrl,
  };
  const make = async (name: string, args: string[]) => {
    const proxy = await PostgresProxy.listen(() => cluster.socketPath);
    closing.unshift(() => proxy.close());
    const process = new BatonProcess({
      name,
      baton,
      args,
      env,
      proxy,
      logFile: join(cluster.directory, `${name}.log`),
    });
    closing.unshift(() => process.end('SIGKILL'));
    return process;
  };
  const api = await make('api', ['start', '--no-worker', '--port', String(port)]);
  const workers = [];
  for (const number of [1, 2, 3]) workers.push(await make(`worker ${number}`, ['worker']));
  await api.start();
  await cluster.pool.query(await readFile(new URL('audit.sql', import.meta.url), 'utf8'));
  await Promise.all(workers.map((worker) => worker.start()));
  return { api, workers, url: `http://127.0.0.1:${port}` };
}

/** Clients begin one journey after the other as long as the nemesis rages. Returns what did not come to an end after that. */
async function live({
  traveller,
  nemesis,
  options: { ms, seed, travellers = 10, log },
}: {
  traveller: Traveller;
  nemesis: Nemesis;
  options: CampaignOptions;
}): Promise<Violation[]> {
  const found: Violation[] = [];
  const untilMs = Date.now() + ms;
  const random = new Random(seed + 4);
  const travel = async (): Promise<void> => {
    while (Date.now() < untilMs) {
      try {
        await traveller.travel(makePlan(random));
      } catch (error) {
        found.push({ rule: 'a client is served', detail: String(error) });
      }
    }
  };
  const ends = Promise.all(Array.from({ length: travellers }, travel));
  const progress = setInterval(() => {
    log(`${nemesis.faults.length} faults, ${traveller.readings.length} streams read`);
  }, 15_000);
  await nemesis.rage(untilMs);
  const isOver = await Promise.race([ends.then(() => true), pause(PATIENCE_MS, false)]);
  clearInterval(progress);
  if (!isOver)
    found.push({
      rule: 'everything comes to its end',
      detail: `not within ${PATIENCE_MS / 1000} s after the last fault`,
    });
  return found;
}

async function keepLogs(directory: string): Promise<string> {
  const kept = await mkdtemp(join(tmpdir(), 'baton-chaos-logs-'));
  await cp(directory, kept, { recursive: true, filter: (file) => file === directory || file.endsWith('.log') });
  return kept;
}

async function countsOf(cluster: Cluster): Promise<{ runs: number; attempts: number }> {
  const { rows } = await cluster.pool.query<{ runs: number; attempts: number }>(
    'select count(*)::int runs, coalesce(sum(attempt), 0)::int attempts from baton.runs',
  );
  return rows[0] ?? { runs: 0, attempts: 0 };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ServiceError } from '../../core/errors.ts';
import { giveTo } from './account.ts';
import type { Binaries } from './binaries.ts';
import type { Listening } from './connection.ts';
import { chooseListening, forgetListening, listenSettings } from './connection.ts';
import type { Home } from './home.ts';
import { processStart } from './process-start.ts';

/** A server process, as its `postmaster.pid` describes it. */
export interface Postmaster extends Listening {
  pid: number;
  status: string;
}

const POLL_MS = 10;
const READY_MS = 120_000;
const STOP_MS = 60_000;
const MAX_LOG_BYTES = 8 * 1024 * 1024;

const SETTINGS = {
  cluster_name: 'baton',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
  logging_collector: 'off',
  max_connections: '100',
  shared_buffers: '64MB',
  timezone: 'UTC',
};

/** The server that runs on this cluster, once it is ready; `undefined` when none does. One that is stopping is waited for. */
export async function runningPostmaster({ data }: Home): Promise<Postmaster | undefined> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const postmaster = readPostmaster(data);
    if (postmaster === undefined || !runsOn(data, postmaster.pid)) return undefined;
    if (postmaster.status === 'ready') return postmaster;
    if (Date.now() > deadline) {
      throw new ServiceError(
        'unavailable',
        `Postgres (process ${postmaster.pid}) on ${data} is "${postmaster.status}" for too long: see postgres.log beside it, end it and start again`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** Starts a server of its own session: Ctrl-C, which goes to the whole process group, must not end it before its users. */
export async function launchPostmaster(
  home: Home,
  binaries: Binaries,
  settings: Record<string, string>,
): Promise<Postmaster> {
  clearRemains(home.data);
  const listening = await chooseListening(home);
  const all = { ...SETTINGS, ...listenSettings(listening), ...settings };
  const args = ['-D', home.data, '-p', String(listening.port)];
  for (const [name, value] of Object.entries(all)) args.push('-c', `${name}=${value}`);

  const deadline = Date.now() + READY_MS;
  for (;;) {
    const result = await attempt(home, binaries.postgres, args, deadline);
    if (typeof result !== 'string') return result;
    // The backends of a server that was killed hold its memory until they notice.
    if (!result.includes('is still in use') || Date.now() > deadline) {
      forgetListening(listening);
      throw new ServiceError('unavailable', `Postgres did not start (see ${logFile(home)}): ${result}`);
    }
    await sleep(10 * POLL_MS);
  }
}

/** Ends it and waits until it is gone. Open connections are cut, committed work is kept. */
export async function stopPostmaster({ data }: Home, postmaster: Postmaster, log: Logger): Promise<void> {
  const start = processStart(postmaster.pid);
  const lives = (): boolean => start !== undefined && processStart(postmaster.pid) === start;
  const deadline = Date.now() + STOP_MS;
  if (lives()) process.kill(postmaster.pid, 'SIGINT'); // "fast"; on Windows it kills, and the next start recovers
  while (lives()) {
    if (Date.now() > deadline) {
      log.warn(
        `Postgres on ${data} took more than ${STOP_MS / 1000} s to stop and is cut off: its next start recovers`,
      );
      process.kill(postmaster.pid, 'SIGQUIT');
      break;
    }
    await sleep(POLL_MS);
  }
  forgetListening(postmaster);
}

/** The server once it is ready, or what it wrote before it ended. */
async function attempt(home: Home, program: string, args: string[], deadline: number): Promise<Postmaster | string> {
  const file = logFile(home);
  if (sizeOf(file) > MAX_LOG_BYTES) renameSync(file, `${file}.old`);
  const logBytes = sizeOf(file);
  const output = openSync(file, 'a', 0o600);
  giveTo(home.account, file);
  const child = spawn(program, args, {
    ...home.account,
    cwd: home.directory,
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.unref();
  let failure = '';
  child.once('error', (error) => (failure = error.message));
  const runs = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  while (runs() && Date.now() < deadline) {
    const postmaster = readPostmaster(home.data);
    if (postmaster?.pid === child.pid && postmaster?.status === 'ready') return postmaster;
    await sleep(POLL_MS);
  }
  if (runs()) {
    child.kill('SIGQUIT');
    return `it was not ready after ${READY_MS / 1000} s`;
  }
  return failure || readFileSync(file).subarray(logBytes).toString().slice(-2000) || `it ended with ${child.exitCode}`;
}

function readPostmaster(data: string): Postmaster | undefined {
  try {
    const lines = readFileSync(pidFile(data), 'utf8').split('\n');
    const [pid, , , port, socketDir = '', , , status = ''] = lines;
    return { pid: Number(pid), port: Number(port), socketDir, status: status.trim() };
  } catch {
    return undefined;
  }
}

/** A pid alone proves nothing: after a crash or in a new container another process may have it. */
function runsOn(data: string, pid: number): boolean {
  try {
    if (process.platform === 'linux') return readlinkSync(`/proc/${pid}/cwd`) === data;
    if (process.platform === 'win32') return processStart(pid) !== undefined;
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).includes(data);
  } catch {
    return false;
  }
}

/**
 * Of a server that was killed. Postgres refuses to start when any process has the pid in its lock file, except its own parent: so we put
 * ours there. Removing the file would be wrong, since it also names the shared memory that left-over backends may still use.
 */
function clearRemains(data: string): void {
  const remains = readPostmaster(data);
  if (remains === undefined) return;
  forgetListening(remains);
  const [, ...rest] = readFileSync(pidFile(data), 'utf8').split('\n');
  writeFileSync(pidFile(data), [process.pid, ...rest].join('\n'));
}

function pidFile(data: string): string {
  return join(data, 'postmaster.pid');
}

function logFile({ directory }: Home): string {
  return join(directory, 'postgres.log');
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

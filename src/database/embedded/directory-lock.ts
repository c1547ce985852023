import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceError } from '../../core/errors.ts';
import { makeFolder } from '../../core/make-folder.ts';
import { processStart } from './process-start.ts';

const WAIT_MS = 180_000;
const POLL_MS = 20;

/**
 * Runs `work` while no other holder of `directory` does, in this process or another one of this machine.
 *
 * The lock is the file with the highest number: `pid start` while held, empty when free. A number is taken by link(2), which gives it
 * to one process only, and numbers only grow. So the lock of a killed process is taken over without a moment in which two could hold it.
 */
export async function withDirectoryLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  makeFolder(directory, 0o700);
  const held = await acquire(directory);
  try {
    return await work();
  } finally {
    truncateSync(held);
  }
}

async function acquire(directory: string): Promise<string> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const top = highest(directory);
    const holder = top === 0 ? '' : read(fileOf(directory, top));
    if (holder !== undefined && !isHeld(holder)) {
      const taken = take(directory, top + 1);
      if (taken !== undefined) return taken;
    } else if (Date.now() > deadline) {
      throw new ServiceError(
        'unavailable',
        `Process ${holder?.split(' ')[0]} holds ${directory} for too long: end it and start again`,
      );
    }
    await sleep(POLL_MS);
  }
}

function take(directory: string, number: number): string | undefined {
  const file = fileOf(directory, number);
  const draft = join(directory, `draft.${randomUUID()}`);
  writeFileSync(draft, `${process.pid} ${processStart(process.pid)}`);
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  } finally {
    rmSync(draft);
  }
  if (highest(directory) !== number) {
    rmSync(file); // the listing was old: the lock has moved on
    return undefined;
  }
  // The last but one stays, so that a listing made meanwhile can't miss both it and its successor.
  for (const old of numbers(directory)) if (old < number - 1) rmSync(fileOf(directory, old), { force: true });
  return file;
}

function isHeld(holder: string): boolean {
  const [pid = '', start] = holder.split(/ (.*)/s);
  return holder !== '' && processStart(Number(pid)) === start;
}

function highest(directory: string): number {
  return Math.max(0, ...numbers(directory));
}

function numbers(directory: string): number[] {
  return readdirSync(directory)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function fileOf(directory: string, number: number): string {
  return join(directory, String(number));
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

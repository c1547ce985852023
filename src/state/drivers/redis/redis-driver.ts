import type { Logger } from 'pino';
import { ConflictError, FencedError } from '../../../core/errors.ts';
import { shownStateUrl } from '../../../core/state-url.ts';
import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointQuery,
  LoadedCheckpoint,
  PutCheckpoint,
  PutWrites,
  StoredCheckpoint,
  StoredSizes,
  ThreadOutline,
  Values,
} from '../checkpoint-driver.ts';
import { inspectServers } from './inspect-servers.ts';
import { connectRedis, type RedisConnection } from './redis-connection.ts';
import { RedisThreads } from './redis-threads.ts';
import { parseRedisUrl } from './redis-url.ts';
import { readScripts } from './scripts.ts';
import { argumentsOf, checkpointsOf, parentIdOf, type ReadReply } from './stored-rows.ts';
import { ThreadChanges } from './thread-changes.ts';
import { fromPlace, KEY, toNamespace, toPlace } from './thread-keys.ts';
import { listKeys } from './thread-list.ts';
import { removalSteps, type Step, type Survey, surveyOf, type SurveyReply } from './thread-survey.ts';

interface RedisDriverOptions {
  url: string;
  log: Logger;
}

/** How many ancestors are read at a time: the server does nothing else meanwhile. */
const CHAIN = 200;

/** Checkpoints in a Redis of 6.2 or newer, or in a cluster of them, without modules. */
export class RedisDriver implements CheckpointDriver {
  readonly #connection: RedisConnection;
  readonly #threads: RedisThreads;
  readonly #changes: ThreadChanges;
  /** The time to live in milliseconds, as scripts take it. */
  readonly #ttl: string;

  private constructor(connection: RedisConnection, threads: RedisThreads, ttlMs: number | null) {
    this.#connection = connection;
    this.#threads = threads;
    this.#ttl = ttlMs === null ? '' : String(Math.ceil(ttlMs));
    this.#changes = new ThreadChanges(async (threadId, changes) => {
      const answers = await threads.write('change', threadId, [this.#ttl, ...changes.flatMap(argumentsOf)]);
      return (answers as number[]).map((made) => made === 1);
    });
  }

  /** Connects, and says in the log what of the server's settings could lose state. */
  static async open({ url, log }: RedisDriverOptions): Promise<RedisDriver> {
    const { prefix, replicas, ttlMs } = parseRedisUrl(url);
    const scripts = await readScripts();
    const connection = await connectRedis(url, log);
    try {
      await inspectServers(connection, shownStateUrl(url), log);
    } catch (error) {
      connection.close();
      throw error;
    }
    return new RedisDriver(connection, new RedisThreads({ connection, scripts, prefix, replicas }), ttlMs);
  }

  put(put: PutCheckpoint): Promise<void> {
    return this.#changes.make(put.row.thread_id, { put });
  }

  putWrites(writes: PutWrites): Promise<void> {
    return this.#changes.make(writes.row.thread_id, { writes });
  }

  async get(threadId: string, checkpointNs: string, checkpointId?: string): Promise<LoadedCheckpoint | undefined> {
    const places = checkpointId === undefined ? [] : [{ checkpoint_ns: checkpointNs, checkpoint_id: checkpointId }];
    const reply = await this.#threads.read('read', threadId, [
      '1',
      '1',
      toNamespace(checkpointNs),
      ...places.map(toPlace),
    ]);
    return checkpointsOf(threadId, reply as ReadReply)[0];
  }

  async list(query: CheckpointQuery, limit: number, after?: CheckpointKey): Promise<LoadedCheckpoint[]> {
    const keys = await listKeys(this.#threads, { query, limit, after });
    const [first] = keys;
    if (first === undefined) return [];
    const parts = query.thread_id === undefined ? keys.map((key) => [key]) : [keys];
    const loaded = parts.map(async (part): Promise<LoadedCheckpoint[]> => {
      const threadId = part[0]?.thread_id ?? '';
      const reply = await this.#threads.read('read', threadId, ['0', '1', '', ...part.map(toPlace)]);
      return checkpointsOf(threadId, reply as ReadReply);
    });
    return (await Promise.all(loaded)).flat();
  }

  async chain(
    threadId: string,
    ns: string,
    checkpointId: string | undefined,
    limit: number,
  ): Promise<StoredCheckpoint[]> {
    const path: StoredCheckpoint[] = [];
    let from = checkpointId;
    for (;;) {
      const wanted = Math.min(limit - path.length, CHAIN);
      const places = from === undefined ? [] : [toPlace({ checkpoint_ns: ns, checkpoint_id: from })];
      const reply = await this.#threads.read('read', threadId, [String(wanted), '0', toNamespace(ns), ...places]);
      const part = checkpointsOf(threadId, reply as ReadReply);
      path.push(...part);
      from = part.at(-1)?.row.parent_id ?? undefined;
      if (part.length < wanted || path.length >= limit || from === undefined) return path;
    }
  }

  async values(threadId: string, ids: readonly string[]): Promise<Values> {
    const values = new Map<string, Uint8Array>();
    if (ids.length === 0) return values;
    const found = (await this.#threads.ask(threadId, 'HMGET', KEY.values, ...ids)) as (Buffer | null)[];
    for (const [at, bytes] of found.entries()) if (bytes !== null) values.set(ids[at] ?? '', bytes);
    return values;
  }

  async sizes(threadId: string): Promise<StoredSizes> {
    const { checkpoints, writes, values } = await this.#survey(threadId);
    return {
      checkpoints: sumOf(checkpoints.map(({ bytes }) => bytes)),
      values: sumOf([...values.values()]),
      writes: sumOf(writes.map(({ bytes }) => bytes)),
    };
  }

  async threads(limit: number, after?: string): Promise<string[]> {
    const beyond = after === undefined ? undefined : Buffer.from(after);
    const ids = (await this.#threads.ids()).map((id) => ({ id, bytes: Buffer.from(id) }));
    return ids
      .filter(({ bytes }) => beyond === undefined || bytes.compare(beyond) > 0)
      .toSorted((a, b) => a.bytes.compare(b.bytes))
      .slice(0, limit)
      .map(({ id }) => id);
  }

  async fence(threadId: string, token: number): Promise<void> {
    const raised = await this.#threads.write('fence', threadId, [this.#ttl, String(token)]);
    if (raised !== 1) throw new FencedError(threadId);
  }

  async deleteThread(threadId: string): Promise<void> {
    await this.#threads.write('delete', threadId, []);
  }

  /** In three steps, since the threads may be on two servers; what is copied is the thread of one moment. */
  async copyThread(fromThreadId: string, toThreadId: string): Promise<void> {
    if (Number(await this.#threads.ask(toThreadId, 'ZCARD', KEY.order)) > 0) {
      throw new ConflictError(`Thread ${toThreadId} has checkpoints: copy to a new thread`);
    }
    const dumps = (await this.#threads.read('dump', fromThreadId, [])) as Buffer[];
    await this.#threads.write('restore', toThreadId, [this.#ttl, ...dumps]);
  }

  async deleteRun(threadId: string, runId: string): Promise<void> {
    await this.#edit(threadId, (survey) => {
      const { checkpoints, writes } = survey;
      const ofRun = checkpoints.filter(({ run_id }) => run_id === runId);
      const places = new Set(ofRun.map(({ place }) => place));
      const later = checkpoints.find(({ run_id, parent }) => run_id !== runId && places.has(parent));
      if (later !== undefined) {
        const { checkpoint_id } = fromPlace(threadId, later.place);
        throw new ConflictError(`Run ${runId} cannot be undone: the checkpoint ${checkpoint_id} was built on it`);
      }
      const written = writes.filter(({ run_id }) => run_id === runId);
      return removalSteps(survey, { places, writes: new Set(written.map(({ name }) => name)) });
    });
  }

  async outline(threadId: string): Promise<ThreadOutline> {
    const { checkpoints, writes, values } = await this.#survey(threadId);
    return {
      checkpoints: checkpoints.map(({ place, order, parent, run_id, deltas, bytes, value_ids }) => {
        const stored = { parent_id: parentIdOf(parent), run_id, deltas, stored_at: new Date(order / 1000) };
        return Object.assign(fromPlace(threadId, place), stored, { bytes, value_ids });
      }),
      writes: writes.map(({ place, task_id, bytes, value_ids }) =>
        Object.assign(fromPlace(threadId, place), { task_id, bytes, value_ids }),
      ),
      values: [...values].map(([id, bytes]) => ({ id, bytes })),
    };
  }

  async remove(threadId: string, checkpoints: readonly CheckpointKey[], token?: number): Promise<void> {
    const places = new Set(checkpoints.map(toPlace));
    await this.#edit(threadId, (survey) => removalSteps(survey, { places }), token);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #survey(threadId: string): Promise<Survey> {
    return surveyOf((await this.#threads.read('survey', threadId, [])) as SurveyReply);
  }

  /** Plans on what is there, and plans anew if that has changed meanwhile. @throws FencedError when its token is refused. */
  async #edit(threadId: string, plan: (survey: Survey) => Step[], token?: number): Promise<void> {
    for (;;) {
      const survey = await this.#survey(threadId);
      const steps = plan(survey);
      if (steps.length === 0) return;
      const args = [survey.revision, JSON.stringify(steps), token === undefined ? '' : String(token)];
      const made = await this.#threads.write('edit', threadId, args);
      if (made === 1) return;
      if (made === -1) throw new FencedError(threadId);
    }
  }
}

function sumOf(bytes: readonly number[]): { count: number; bytes: number } {
  return { count: bytes.length, bytes: bytes.reduce((sum, each) => sum + each, 0) };
}

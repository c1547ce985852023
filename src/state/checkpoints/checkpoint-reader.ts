import type { RunnableConfig } from '@langchain/core/runnables';
import {
  type CheckpointListOptions,
  type CheckpointTuple,
  maxChannelVersion,
  type PendingWrite,
  TASKS,
} from '@langchain/langgraph-checkpoint';
import { clearPart } from './checkpoint-metadata.ts';
import { unpacked } from './bare-checkpoint.ts';
import { nextVersion } from './channel-versions.ts';
import { addressOf, configOf } from './checkpoint-address.ts';
import type {
  CheckpointDriver,
  CheckpointKey,
  CheckpointQuery,
  CheckpointRow,
  LoadedCheckpoint,
  StoredCheckpoint,
  Values,
  WritesRow,
} from '../drivers/checkpoint-driver.ts';
import type { Codec } from '../../core/codec.ts';
import { revive } from '../codec/revive.ts';
import { TAG_MARK } from '../codec/tags.ts';
import { Contents } from '../values/contents.ts';
import { contains } from '../../core/json-contains.ts';
import type { CheckpointBody, StoredWrite } from '../values/packed-values.ts';
import { pendingWrites, standingWrites, type TaskWrite } from './pending-writes.ts';

const PAGE = 20;

/** From stored rows to what LangGraph reads. */
export class CheckpointReader {
  readonly #driver: CheckpointDriver;
  readonly #codec: Codec;

  constructor(driver: CheckpointDriver, codec: Codec) {
    this.#driver = driver;
    this.#codec = codec;
  }

  async *list(config: RunnableConfig, options: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    let left = options.limit ?? Infinity;
    if (left <= 0) return;
    for await (const tuple of this.#listed(config, options)) {
      yield tuple;
      left -= 1;
      if (left <= 0) return;
    }
  }

  async *#listed(
    config: RunnableConfig,
    { filter, before, limit }: CheckpointListOptions,
  ): AsyncGenerator<CheckpointTuple> {
    const clear = this.#codec.clearMetadata;
    // What the store cannot see of the metadata is compared here.
    const hidden = clear !== undefined && Object.keys(filter ?? {}).some((key) => !clear.has(key));
    const query = { ...placesOf(config, before), filter: hidden ? clearPart(filter ?? {}, clear) : filter };
    const size = hidden ? PAGE : Math.min(limit ?? PAGE, PAGE);
    for (let after: CheckpointKey | undefined; ;) {
      const page = await this.#driver.list(query, size, after);
      for (const loaded of page) {
        const body = await this.body(loaded.row);
        if (hidden && !contains((JSON.parse(body) as CheckpointBody).metadata, filter)) continue;
        yield await this.tuple(loaded, body);
      }
      after = page.at(-1)?.row;
      if (page.length < size) return;
    }
  }

  async body(row: CheckpointRow): Promise<string> {
    const { thread_id, checkpoint_ns, checkpoint_id: id } = row;
    return this.#codec.decode(row.body, { thread_id, checkpoint_ns, kind: 'checkpoint', id });
  }

  /** What made it: an input, a step of the graph, a change by hand, a fork. */
  async sourceOf(row: CheckpointRow): Promise<string | undefined> {
    const { metadata } = JSON.parse(await this.body(row)) as { metadata?: { source?: string } };
    return metadata?.source;
  }

  /** @param later Channels whose values need not be read yet. */
  async tuple(loaded: LoadedCheckpoint, bodyText: string, later?: ReadonlySet<string>): Promise<CheckpointTuple> {
    const { row } = loaded;
    const plain = !bodyText.includes(TAG_MARK);
    const body = JSON.parse(bodyText) as CheckpointBody;
    const contents = this.contents(row, loaded.values);
    const channels: [string, unknown][] = [];
    for (const channel of new Set([...Object.keys(body.values), ...Object.keys(body.refs)])) {
      const deferred = later?.has(channel) ? await contents.deferred(body, channel) : undefined;
      channels.push([channel, deferred ?? (await contents.channel(body, channel, plain))]);
    }
    const tuple: CheckpointTuple = {
      config: configOf(row),
      checkpoint: { ...unpacked(body.checkpoint), id: row.checkpoint_id, channel_values: Object.fromEntries(channels) },
      metadata: (plain ? body.metadata : revive(body.metadata)) as NonNullable<CheckpointTuple['metadata']>,
      pendingWrites: pendingWrites(await contents.load(await this.standingWrites(loaded))),
    };
    if (row.parent_id !== null) tuple.parentConfig = configOf({ ...row, checkpoint_id: row.parent_id });
    if (tuple.checkpoint.v < 4) await this.#addPendingSends(tuple, row);
    return tuple;
  }

  /** The big values that rows of a thread refer to. */
  contents({ thread_id }: CheckpointKey, values: Values): Contents {
    return new Contents(this.#codec, thread_id, values);
  }

  /** The writes that count after a checkpoint. Big values are left out until they are loaded. */
  async standingWrites({ writes }: StoredCheckpoint): Promise<TaskWrite[]> {
    const all: TaskWrite[] = [];
    for (const row of writes) all.push(...(await this.#taskWrites(row)));
    return standingWrites(all);
  }

  /** What one task wrote in one go, as it was put. */
  async writes(row: WritesRow, values: Values): Promise<PendingWrite[]> {
    const loaded = await this.contents(row, values).load(await this.#taskWrites(row));
    return loaded.map(({ channel, json, plain }) => [channel, plain ? json : revive(json)]);
  }

  async #taskWrites({ thread_id, checkpoint_ns, checkpoint_id, task_id, ...row }: WritesRow): Promise<TaskWrite[]> {
    const context = { thread_id, checkpoint_ns, kind: 'writes', id: checkpoint_id, task_id } as const;
    const text = await this.#codec.decode(row.body, context);
    const { task_path } = row;
    const plain = !text.includes(TAG_MARK);
    const stored = JSON.parse(text) as StoredWrite[];
    return stored.map(([idx, channel, json, ref]) => ({ task_id, task_path, idx, channel, json, ref, plain }));
  }

  /** Before version 4 of the format the sends of a step were stored as writes after its parent only. */
  async #addPendingSends(
    { checkpoint }: CheckpointTuple,
    { thread_id, checkpoint_ns, parent_id }: CheckpointRow,
  ): Promise<void> {
    if (parent_id === null) return;
    const parent = await this.#driver.get(thread_id, checkpoint_ns, parent_id);
    const stored =
      parent === undefined
        ? []
        : await this.contents(parent.row, parent.values).load(await this.standingWrites(parent));
    const writes = pendingWrites(stored);
    const versions = Object.values(checkpoint.channel_versions);
    checkpoint.channel_values[TASKS] = writes.filter(([, channel]) => channel === TASKS).map(([, , send]) => send);
    checkpoint.channel_versions[TASKS] = versions.length > 0 ? maxChannelVersion(...versions) : nextVersion(undefined);
  }
}

function placesOf(config: RunnableConfig, before: RunnableConfig | undefined): CheckpointQuery {
  return {
    thread_id: addressOf(config)?.thread_id,
    checkpoint_ns: config.configurable?.['checkpoint_ns'] as string | undefined,
    checkpoint_id: addressOf(config)?.checkpoint_id,
    before: before?.configurable?.['checkpoint_id'] as string | undefined,
  };
}

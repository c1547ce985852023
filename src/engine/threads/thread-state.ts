import type { StateSnapshot } from '@langchain/langgraph';
import type { BaseStore } from '@langchain/langgraph-checkpoint';
import { DatabaseError } from 'pg';
import type { ThreadFiles } from '../../blobs/thread-files.ts';
import type { RunConfig } from '../../core/assistant.ts';
import { openBudgetQuestion } from '../../core/budget.ts';
import { isConnectionLost } from '../../core/connection-loss.ts';
import { InvalidInputError, messageOf, NotFoundError, ServiceError } from '../../core/errors.ts';
import { FENCING_TOKEN_KEY } from '../../core/fencing.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { CheckpointRef, CommandJson } from '../../core/run.ts';
import { type Parking, parkingIn } from '../../core/effect.ts';
import type { Thread, ThreadOutcome } from '../../core/thread.ts';
import type { Threads } from '../../database/threads.ts';
import { serialize } from '../../state/codec/serialize.ts';
import type { ChannelSizes, StateSaver } from '../../state/state-saver.ts';
import type { StateStores } from '../../state/state-stores.ts';
import { finishedTasks } from '../runs/finished-tasks.ts';
import type { CompiledGraph, GraphRegistry, GraphUse } from '../graphs/registry.ts';
import { toCommand } from '../runs/run-input.ts';
import { EMPTY_STATE, interruptsOf, toCheckpoint, toThreadState, type ThreadState, withQuestion } from './snapshot.ts';
import { toWire } from '../wire.ts';

/** A change of the state, as if a node had made it. */
export interface StateUpdate {
  values?: Json;
  /** Instead of values: an update and where to go on. */
  command?: CommandJson | undefined;
  /** The node; `__copy__`, `__end__` and `__input__` are LangGraph's own. Absent = the one that wrote last. */
  as_node?: string | undefined;
}

export interface HistoryQuery {
  limit: number;
  /** Only checkpoints older than this one. */
  before?: string | undefined;
  metadata?: JsonObject | undefined;
  /** The subgraph whose history it is. */
  checkpoint?: CheckpointRef | undefined;
}

type Access = NonNullable<GraphUse['access']>;

interface Place {
  checkpoint?: CheckpointRef | undefined;
  /** For a change by hand. */
  token?: number;
}

/** What a thread looks like, and what its nodes wait for without anybody's help. */
export type ReachedOutcome = ThreadOutcome & { parkings: Parking[] };

export interface ThreadStatesParts {
  graphs: GraphRegistry;
  stores: Pick<StateStores, 'of' | 'namesFor'>;
  threads: Threads;
  store: BaseStore;
  /** Null: there is no blob store. */
  files: Pick<ThreadFiles, 'copy'> | null;
}

/** The state of threads, read and changed through their graphs: only these know the reducers and what comes next. */
export class ThreadStates {
  readonly #graphs: GraphRegistry;
  readonly #stores: ThreadStatesParts['stores'];
  readonly #threads: Threads;
  readonly #store: BaseStore;
  readonly #files: Pick<ThreadFiles, 'copy'> | null;

  constructor({ graphs, stores, threads, store, files }: ThreadStatesParts) {
    this.#graphs = graphs;
    this.#stores = stores;
    this.#threads = threads;
    this.#store = store;
    this.#files = files;
  }

  /** The latest state, or that of a checkpoint. Throws NotFoundError when the checkpoint does not exist. */
  async get(
    thread: Thread,
    { checkpoint, subgraphs = false }: { checkpoint?: CheckpointRef | undefined; subgraphs?: boolean } = {},
  ): Promise<ThreadState> {
    const graph = await this.#graphOf(thread, 'threads.read');
    if (!graph) {
      if (checkpoint?.checkpoint_id) throw new NotFoundError('Checkpoint', checkpoint.checkpoint_id);
      return EMPTY_STATE;
    }
    const state = toThreadState(await read(graph, configOf(thread, { checkpoint }), subgraphs));
    return checkpoint ? state : asAsked(thread, state);
  }

  /** How much the channels of the latest state take. What is made of writes is measured as read, if its graph can be had. */
  async channelSizes(thread: Thread): Promise<ChannelSizes> {
    const sizes = await this.#stores.of(thread.state_store).channelSizes(thread.thread_id);
    const made = Object.keys(sizes).filter((channel) => sizes[channel]?.stored === 'as_writes');
    const graph = made.length > 0 && (await this.#graphOf(thread, 'threads.read').catch(noneIfRefused));
    const values = graph ? ((await read(graph, configOf(thread))).values as Record<string, unknown>) : {};
    for (const channel of made) {
      if (Object.hasOwn(values, channel)) {
        sizes[channel] = { bytes: Buffer.byteLength(serialize(values[channel], channel)), stored: 'as_writes' };
      }
    }
    return sizes;
  }

  /** Newest first. */
  async history(thread: Thread, { limit, before, metadata, checkpoint }: HistoryQuery): Promise<ThreadState[]> {
    const graph = await this.#graphOf(thread, 'threads.read');
    if (!graph) return [];
    const options = {
      limit,
      ...(before !== undefined && { before: { configurable: { checkpoint_id: before } } }),
      ...(metadata && { filter: metadata }),
    };
    const states: ThreadState[] = [];
    for await (const snapshot of graph.getStateHistory(configOf(thread, { checkpoint }), options)) {
      states.push(toThreadState(snapshot));
    }
    const isFromHead = before === undefined && !metadata && !checkpoint;
    if (isFromHead && states[0]) states[0] = asAsked(thread, states[0]);
    return states;
  }

  /**
   * Changes an idle thread's state by hand: at its head, or at a checkpoint, which makes a fork. Returns the new checkpoint.
   * Throws BusyError, FencedError, NotFoundError, and InvalidInputError when the graph refuses the update.
   */
  async update(thread: Thread, update: StateUpdate, checkpoint?: CheckpointRef): Promise<Json> {
    return this.bulkUpdate(thread, [[update]], checkpoint);
  }

  /** As {@link update}, for several steps; the updates of one step are made side by side. */
  async bulkUpdate(thread: Thread, steps: readonly StateUpdate[][], checkpoint?: CheckpointRef): Promise<Json> {
    const graphId = thread.metadata['graph_id'];
    if (typeof graphId !== 'string') {
      throw new InvalidInputError(
        `Thread ${thread.thread_id} belongs to no graph yet: run it once, or create it with metadata.graph_id`,
      );
    }
    const { token, state_store } = await this.#threads.reserve(thread.thread_id, this.#stores.namesFor(graphId));
    const saver = this.#stores.of(state_store);
    const graph = await this.#graph(graphId, saver, thread.config, 'threads.update');
    await saver.fence(thread.thread_id, token);
    if (checkpoint?.checkpoint_id) await read(graph, configOf(thread, { checkpoint }));
    const supersteps = steps.map((updates) => ({ updates: updates.map(toGraphUpdate) }));
    const config = await blameTheUpdate(() =>
      graph.bulkUpdateState(configOf(thread, { checkpoint, token }), supersteps),
    );
    const reached = toCheckpoint(config);
    const outcome = await outcomeOf(graph, saver, configOf(thread));
    await this.#threads.settle(thread.thread_id, outcome, token, reached);
    return reached;
  }

  /** Shows what is stored of a graph's thread that was not run here. Throws as {@link update}. */
  async show(thread: Thread, graphId: string): Promise<void> {
    const { token, state_store } = await this.#threads.reserve(thread.thread_id, this.#stores.namesFor(graphId));
    const outcome = await this.outcome({ ...thread, graph_id: graphId, state_store }, thread.config);
    await this.#threads.settle(thread.thread_id, outcome, token);
  }

  /** A new thread that stands where the source stands, with the source's whole history and metadata of its own. */
  async copy(source: Thread, toThreadId: string, metadata: JsonObject): Promise<Thread> {
    // State first: a crash in between leaves a state that no thread shows, never a thread that shows a state it has not.
    const saver = this.#stores.of(source.state_store);
    await saver.copyThread(source.thread_id, toThreadId);
    await this.#files?.copy(source.thread_id, toThreadId);
    const copied = await this.#threads.copy(source.thread_id, toThreadId, metadata);
    if (!copied) throw new NotFoundError('Thread', source.thread_id);
    if (source.status !== 'busy') return copied;
    const graph = await this.#graphOf(copied, 'threads.read');
    if (!graph) return copied;
    const outcome = await outcomeOf(graph, saver, configOf(copied));
    // What comes next does not wait for anyone: the source's run was about to do it.
    const status = Object.keys(outcome.interrupts).length > 0 ? 'interrupted' : 'idle';
    return (await this.#threads.settle(toThreadId, { ...outcome, status }, 0)) ?? copied;
  }

  /**
   * What a thread looks like when nothing runs on it. `interrupted`: a task waits for an answer, or the graph stopped before
   * its end. Whoever knows that it stopped by a failure says so instead.
   */
  async outcome(
    { graph_id, thread_id, state_store }: Pick<Thread, 'thread_id' | 'state_store'> & { graph_id: string },
    config: RunConfig,
  ): Promise<ReachedOutcome> {
    const saver = this.#stores.of(state_store);
    const graph = await this.#graph(graph_id, saver, config, 'threads.read');
    return outcomeOf(graph, saver, configOf({ thread_id, config, metadata: {} }));
  }

  /** Null when the thread has not met a graph yet. */
  async #graphOf(thread: Thread, access: Access): Promise<CompiledGraph | null> {
    const graphId = thread.metadata['graph_id'];
    if (typeof graphId !== 'string') return null;
    return this.#graph(graphId, this.#stores.of(thread.state_store), thread.config, access);
  }

  #graph(graphId: string, checkpointer: StateSaver, config: RunConfig, access: Access): Promise<CompiledGraph> {
    return this.#graphs.get(graphId, { checkpointer, store: this.#store, config, access });
  }
}

function noneIfRefused(error: unknown): null {
  if (error instanceof ServiceError) return null;
  throw error;
}

/** The thread's latest state, with the question of a spent budget. */
function asAsked(thread: Thread, state: ThreadState): ThreadState {
  const question = openBudgetQuestion(thread);
  return question ? withQuestion(state, question) : state;
}

type ThreadPlace = Pick<Thread, 'thread_id' | 'config' | 'metadata'>;
type GraphConfig = ReturnType<typeof configOf>;

function configOf({ thread_id, config, metadata }: ThreadPlace, { checkpoint, token }: Place = {}) {
  const { checkpoint_id, checkpoint_ns, checkpoint_map } = checkpoint ?? {};
  return {
    metadata,
    configurable: {
      ...config.configurable,
      thread_id,
      checkpoint_ns: checkpoint_ns ?? '',
      ...(checkpoint_id && { checkpoint_id }),
      ...(checkpoint_map && { checkpoint_map }),
      ...(token !== undefined && { [FENCING_TOKEN_KEY]: token }),
    },
  };
}

/** Throws NotFoundError when a checkpoint is named that does not exist. */
async function read(graph: CompiledGraph, config: GraphConfig, subgraphs = false): Promise<StateSnapshot> {
  const snapshot = await graph.getState(config, { subgraphs });
  const { checkpoint_id } = config.configurable;
  if (checkpoint_id !== undefined && snapshot.createdAt === undefined) {
    throw new NotFoundError('Checkpoint', checkpoint_id);
  }
  return snapshot;
}

async function outcomeOf(graph: CompiledGraph, saver: StateSaver, config: GraphConfig): Promise<ReachedOutcome> {
  const snapshot = await graph.getState(config);
  const asking = snapshot.tasks.filter((task) => task.interrupts.length > 0);
  // The question of a task that was answered and has ended stays stored until its step is over.
  const finished = new Set(asking.length > 0 ? finishedTasks(await saver.getTuple(config)) : []);
  const open = asking.filter((task) => !finished.has(task.id));
  const interrupts = interruptsOf(open);
  // `next` alone does not tell: it is empty while a node waits at its second question.
  const waits = open.length > 0 || snapshot.next.length > 0;
  return {
    status: waits ? 'interrupted' : 'idle',
    values: snapshot.createdAt === undefined ? null : toWire(snapshot.values),
    interrupts,
    error: null,
    parkings: open.flatMap((task) => task.interrupts.flatMap(({ value }) => parkingIn(value) ?? [])),
  };
}

function toGraphUpdate({ values, command, as_node }: StateUpdate): {
  values: Record<string, unknown>;
  asNode?: string;
} {
  return {
    values: (command ? toCommand(command) : (values ?? null)) as Record<string, unknown>,
    ...(as_node !== undefined && { asNode: as_node }),
  };
}

/** What the graph's own code throws at an update is about the update: the caller can do something about it. */
async function blameTheUpdate<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ServiceError || error instanceof DatabaseError || isConnectionLost(error)) throw error;
    throw new InvalidInputError(`The graph did not take this update: ${messageOf(error)}`);
  }
}

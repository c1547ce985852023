import { CallbackManager } from '@langchain/core/callbacks/manager';
import type { Runnable } from '@langchain/core/runnables';
import { START } from '@langchain/langgraph';
import type { RunKwargs } from '../../core/run.ts';
import { DeferredValue, READ_LATER_KEY } from '../../state/values/deferred-value.ts';
import type { CompiledGraph } from '../graphs/registry.ts';
import { replaced, wrapNodes } from './wrap-nodes.ts';

/** Streams in which nobody sees a whole state, and for which LangGraph looks at none. */
const PARTIAL: ReadonlySet<string> = new Set(['updates', 'custom']);

/**
 * The channels of a graph whose values need not be read before a node looks at them: those that hold what was written
 * last, since a reducer would look at once. None when others look at whole states, too: streams, the keys of cached nodes,
 * handlers of errors, callbacks and tracers of all that the graph does.
 */
export function channelsReadLater(graph: CompiledGraph, { protocol, stream_mode }: RunKwargs): ReadonlySet<string> {
  const isStateGraph = 'builder' in graph;
  const isStreamed = protocol === 'v2' || !stream_mode.every((mode) => PARTIAL.has(mode));
  // A handler of errors would be told that a value cannot be read, which passes, and what it makes of that would be saved.
  const isHandled = Object.values(graph.nodes).some(
    ({ cachePolicy, errorHandlerNode }) => cachePolicy ?? errorHandlerNode,
  );
  if (!isStateGraph || isStreamed || isHandled || isHeard(graph)) return new Set();
  // LangGraph looks at its own, whose names begin so.
  const isLater = ([name, channel]: [string, { lc_graph_name: string }]): boolean =>
    channel.lc_graph_name === 'LastValue' && !name.startsWith('__');
  const channels = Object.entries(graph.channels).filter(isLater);
  return new Set(channels.map(([name]) => name));
}

function isHeard({ config }: CompiledGraph): boolean {
  const manager = CallbackManager.configure(config?.callbacks);
  return manager !== undefined && manager.handlers.length > 0;
}

/**
 * Has nodes and conditional edges see a state whose unread values are read when they look at them. That blocks the process,
 * so what a node looked at when it ran last is read before it begins.
 */
export class DeferredState {
  /** By graph and node. */
  readonly #lookedAt = new Map<string, ReadonlySet<string>>();
  /** By the inputs of nodes that are to be executed. */
  readonly #looks = new WeakMap<object, Look>();

  /** The graph must be a copy of one's own. */
  open(graph: CompiledGraph, graphId: string): void {
    wrapNodes(graph, (name, node) => {
      const place = JSON.stringify([graphId, name]);
      const own = {
        mapper: (input: unknown) => this.#shown(node.mapper === undefined ? input : (node.mapper(input) as unknown)),
        getNode: () => {
          const step = node.getNode();
          return step && this.#looking(step, place);
        },
        // By themselves they are executed when the node ends with a command for its graph.
        getWriters: () => node.getWriters().map((writer: Runnable) => this.#looking(writer, place)),
      };
      // LangGraph's own first node takes the input, which is no state yet.
      return name === START ? { getNode: own.getNode } : own;
    });
  }

  #shown(input: unknown): unknown {
    const look = new Look();
    const shown = look.at(input);
    if (shown !== input) this.#looks.set(shown as object, look);
    return shown;
  }

  #looking<S extends Runnable>(step: S, place: string): S {
    const invoke: Runnable['invoke'] = async (input, config) => {
      const look = (isRecord(input) && this.#looks.get(input)) || new Look();
      await look.begin(this.#lookedAt.get(place));
      const configurable = through(config?.configurable, look);
      const [ended] = await Promise.allSettled([step.invoke(input, { ...config, configurable }) as unknown]);
      this.#lookedAt.set(place, new Set(look.channels));
      // Whatever the node made of it: what it came to without the value must not be saved.
      look.throwFault();
      if (ended.status === 'rejected') throw ended.reason;
      return ended.value;
    };
    return replaced<Runnable>(step, { invoke }) as S;
  }
}

/** What one execution of a node looks at. */
class Look {
  readonly channels = new Set<string>();
  /** Why a value could not be read. */
  #fault: Error | undefined;
  readonly #unread = new Map<string, DeferredValue>();

  /** Reads what will be looked at, as far as that is known. A node may be tried again. */
  async begin(channels: ReadonlySet<string> | undefined): Promise<void> {
    this.#fault = undefined;
    const known = [...this.#unread].filter(([channel]) => channels?.has(channel));
    await Promise.all(known.map(([, value]) => value.load()));
  }

  throwFault(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** The state with its unread values as fields that are read when somebody gets them. */
  at(state: unknown): unknown {
    if (!isRecord(state)) return state;
    const unread = Object.entries(state).filter(isUnread);
    if (unread.length === 0) return state;
    const copy = { ...state };
    for (const [channel, deferred] of unread) {
      this.#unread.set(channel, deferred);
      Object.defineProperty(copy, channel, {
        enumerable: true,
        configurable: true,
        get: () => this.#read(channel, deferred),
        // As a node may do with its copy of the state.
        set(value: unknown) {
          Object.defineProperty(copy, channel, { value, writable: true });
        },
      });
    }
    return copy;
  }

  #read(channel: string, deferred: DeferredValue): unknown {
    this.channels.add(channel);
    try {
      return deferred.value;
    } catch (error) {
      this.#fault ??= error as Error;
      throw error;
    }
  }
}

/** LangGraph's ways to the state of a step, for its own writers and edges. */
type LocalState = (...args: unknown[]) => unknown;

/** LangGraph's way to the state for conditional edges, through a look; without leave for others to defer. */
function through(configurable: Record<string, unknown> = {}, look: Look): Record<string, unknown> {
  const { __pregel_read: read, __pregel_send: send } = configurable as Record<string, LocalState | undefined>;
  return {
    ...configurable,
    [READ_LATER_KEY]: undefined,
    ...(read && { __pregel_read: (...args: unknown[]) => look.at(read(...args)) }),
    // Nothing is written, and so nothing streamed, of a node that has not seen what it looked at.
    ...(send && {
      __pregel_send: (...args: unknown[]) => {
        look.throwFault();
        return send(...args);
      },
    }),
  };
}

function isUnread(field: [string, unknown]): field is [string, DeferredValue] {
  return field[1] instanceof DeferredValue;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

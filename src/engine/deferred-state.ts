import { START } from '@langchain/langgraph';
import type { RunKwargs } from '../core/run.ts';
import { DeferredValue, READ_LATER_KEY } from '../state/deferred-value.ts';
import type { CompiledGraph } from './graphs/registry.ts';
import { type NodeStep, wrapNodes } from './watch-nodes.ts';

/** Streams in which nobody sees a whole state. */
const PARTIAL: ReadonlySet<string> = new Set(['updates', 'custom', 'messages-tuple']);

/**
 * The channels of a graph whose values need not be read before a node looks at them: those that hold what was written
 * last, since a reducer would look at once. None when the whole state is shown after every step.
 */
export function channelsReadLater(graph: CompiledGraph, { protocol, stream_mode }: RunKwargs): ReadonlySet<string> {
  if (protocol === 'v2' || !stream_mode.every((mode) => PARTIAL.has(mode))) return new Set();
  // LangGraph looks at its own, whose names begin so.
  const isLater = ([name, channel]: [string, { lc_graph_name: string }]): boolean =>
    channel.lc_graph_name === 'LastValue' && !name.startsWith('__');
  return new Set(
    Object.entries(graph.channels)
      .filter(isLater)
      .map(([name]) => name),
  );
}

/**
 * Has nodes and conditional edges see a state whose unread values are read when they look at them. That blocks the process,
 * so what a node looked at when it ran last is read before it begins.
 */
export class DeferredState {
  /** By graph and node. */
  readonly #lookedAt = new Map<string, ReadonlySet<string>>();

  /** The graph must be a copy of one's own. */
  open(graph: CompiledGraph, graphId: string): void {
    wrapNodes(graph, (name, step) => this.#looking(step, JSON.stringify([graphId, name]), name === START));
  }

  #looking(step: NodeStep, place: string, isStart: boolean): NodeStep['invoke'] {
    return async (input, config) => {
      const looked = new Set<string>();
      const see = (state: unknown): unknown => seen(state, (channel) => looked.add(channel));
      if (!isStart) await loadAll(input, this.#lookedAt.get(place));
      try {
        const shown = see(input);
        return (await step.invoke(shown, {
          ...config,
          configurable: through(config?.configurable, see, shown),
        })) as unknown;
      } finally {
        this.#lookedAt.set(place, looked);
      }
    };
  }
}

/** The ways by which a node gets at the state beside its input. */
function through(
  config: Record<string, unknown> = {},
  see: (state: unknown) => unknown,
  input: unknown,
): Record<string, unknown> {
  const { __pregel_read: read, __pregel_scratchpad: scratchpad } = config as {
    __pregel_read?: (...args: unknown[]) => unknown;
    __pregel_scratchpad?: { currentTaskInput?: unknown };
  };
  if (scratchpad !== undefined) scratchpad.currentTaskInput = input;
  return {
    ...config,
    [READ_LATER_KEY]: undefined,
    ...(read && { __pregel_read: (...args: unknown[]) => see(read(...args)) }),
  };
}

async function loadAll(state: unknown, channels: ReadonlySet<string> | undefined): Promise<void> {
  if (!isRecord(state)) return;
  const values = [...(channels ?? [])].map((channel) => state[channel]);
  await Promise.all(values.filter((value) => value instanceof DeferredValue).map((value) => value.load()));
}

/** The state with its unread values as fields that are read when somebody gets them. */
function seen(state: unknown, looked: (channel: string) => void): unknown {
  if (state instanceof DeferredValue) return state.value;
  if (!isRecord(state)) return state;
  const unread = Object.entries(state).filter(
    (entry): entry is [string, DeferredValue] => entry[1] instanceof DeferredValue,
  );
  if (unread.length === 0) return state;
  const copy = { ...state };
  for (const [channel, deferred] of unread) {
    Object.defineProperty(copy, channel, {
      enumerable: true,
      configurable: true,
      get: () => {
        looked(channel);
        return deferred.value;
      },
      // As a node may do with its copy of the state.
      set(value: unknown) {
        Object.defineProperty(copy, channel, { value, writable: true });
      },
    });
  }
  return copy;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

import type { BaseMessage } from '@langchain/core/messages';
import type { StreamEvent } from '@langchain/core/tracers/log_stream';
import { isCheckpointEnvelope, type StreamMode as GraphMode } from '@langchain/langgraph';
import type { JsonObject } from '../../core/json.ts';
import type { EmittedEvent } from '../../core/run-event.ts';
import type { StreamMode } from '../../core/run.ts';
import type { CompiledGraph } from '../graphs/registry.ts';
import { toDebugPayload } from './debug-payload.ts';
import { MessageProgress } from './message-progress.ts';
import { withoutPrivateKeys } from './private-keys.ts';
import { toWire } from '../wire.ts';

export interface GraphStreamRequest {
  graph: CompiledGraph;
  input: unknown;
  /** Everything that LangGraph takes besides the stream modes. */
  config: Record<string, unknown> & { runId: string };
  modes: readonly StreamMode[];
  subgraphs: boolean;
}

/** The part of a graph that is used here, without the types of its state, which only its author knows. */
interface Streamable {
  stream(input: unknown, options: object): Promise<AsyncIterable<unknown>>;
  streamEvents(input: unknown, options: object): AsyncIterable<StreamEvent>;
}

type Chunk = [namespace: string[], mode: string, payload: unknown];

/** Executes a graph and yields what it emits under the names of the wire: `mode` or `mode|namespace|…`. */
export async function* streamGraph(request: GraphStreamRequest): AsyncGenerator<EmittedEvent, void> {
  const { input, config, modes, subgraphs } = request;
  const graph = request.graph as unknown as Streamable;
  const naming = new Naming(modes);
  const options = { ...config, streamMode: graphModes(modes), subgraphs };
  if (!modes.includes('events')) {
    for await (const chunk of await graph.stream(input, options)) {
      yield* naming.name(asChunk(chunk, subgraphs));
    }
    return;
  }
  for await (const event of graph.streamEvents(input, { ...options, version: 'v2' })) {
    if (event.tags?.includes('langsmith:hidden')) continue;
    // What the graph itself streams goes under the names of its modes only.
    if (event.event === 'on_chain_stream' && event.run_id === config.runId) {
      yield* naming.name(asChunk(event.data.chunk, subgraphs));
    } else {
      yield { event: 'events', data: withoutPrivateKeys(toWire(event)) };
    }
  }
}

/** The modes to ask LangGraph for: both message modes of the wire are made from its one, `events` from none. */
function graphModes(modes: readonly StreamMode[]): GraphMode[] {
  const asked = modes.flatMap((mode): GraphMode[] => {
    if (mode === 'events') return [];
    if (mode === 'messages') return ['messages', 'values'];
    return [mode === 'messages-tuple' ? 'messages' : mode];
  });
  return asked.length > 0 ? [...new Set(asked)] : ['values'];
}

function asChunk(chunk: unknown, subgraphs: boolean): Chunk {
  return subgraphs ? (chunk as Chunk) : [[], ...(chunk as [string, unknown])];
}

/** Gives the chunks of one execution their names. */
class Naming {
  readonly #modes: ReadonlySet<StreamMode>;
  readonly #messages = new MessageProgress();

  constructor(modes: readonly StreamMode[]) {
    this.#modes = new Set(modes);
  }

  *name([namespace, mode, payload]: Chunk): Generator<EmittedEvent, void> {
    const place = namespace.map((part) => `|${part}`).join('');
    if (mode === 'messages') {
      const [message, metadata] = payload as [BaseMessage, JsonObject];
      if (this.#modes.has('messages-tuple')) yield { event: `messages${place}`, data: toWire(payload) };
      if (this.#modes.has('messages')) yield* this.#messages.piece(message, metadata);
      return;
    }
    // Beside whole checkpoints LangGraph may send their short forms, which belong to the newer protocol.
    const isDebug = mode === 'debug' || mode === 'checkpoints' || mode === 'tasks';
    const isMeant = this.#modes.has(mode as StreamMode) && !(mode === 'checkpoints' && isCheckpointEnvelope(payload));
    if (isMeant)
      yield {
        event: mode + place,
        data: isDebug ? withoutPrivateKeys(toDebugPayload(mode, payload)) : toWire(payload),
      };
    if (mode === 'values' && place === '' && this.#modes.has('messages')) yield* this.#messages.state(payload);
  }
}

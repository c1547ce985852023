import type { ProtocolEvent } from '@langchain/langgraph/stream';
import type { Json } from '../../core/json.ts';
import type { EmittedEvent } from '../../core/run-event.ts';
import type { CompiledGraph } from '../graphs/registry.ts';
import { withoutPrivateKeys } from '../streams/private-keys.ts';
import { toWire } from '../wire.ts';

/** The part of a graph that is used here, without the types of its state, which only its author knows. */
interface Streamable {
  streamEvents(input: unknown, options: object): Promise<AsyncIterable<ProtocolEvent>>;
}

/**
 * Executes a graph and yields what its event stream of version 3 has, with the graph's own transformers applied: as rows of
 * a log that readers of either protocol understand. What both protocols have is in the form of the older one, so that
 * whoever joins the run as a stream of modes sees what he knows; messages and lifecycles are in the newer one's.
 */
export async function* streamProtocolEvents(
  graph: CompiledGraph,
  input: unknown,
  config: object,
): AsyncGenerator<EmittedEvent, void> {
  const events = await (graph as unknown as Streamable).streamEvents(input, { ...config, version: 'v3' });
  for await (const { method, params } of events) {
    const { namespace } = params;
    // What becomes of the run as a whole is not for the graph to say.
    if (method === 'lifecycle' && namespace.length === 0) continue;
    const place = namespace.map((part) => `|${part}`).join('');
    const [mode, data] = olderForm(method, toWire(params.data));
    yield { event: mode + place, data };
  }
}

function olderForm(method: string, data: Json): [mode: string, data: Json] {
  if (method.startsWith('custom:')) return ['custom', { name: method.slice('custom:'.length), payload: data }];
  if (!isObject(data)) return [method, data];
  switch (method) {
    case 'updates':
      return typeof data['node'] === 'string' ? [method, { [data['node']]: data['values'] ?? null }] : [method, data];
    case 'custom':
      return [method, 'name' in data ? data : (data['payload'] ?? null)];
    case 'tasks':
      return [method, withoutPrivateKeys(data)];
    default:
      return [method, data];
  }
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

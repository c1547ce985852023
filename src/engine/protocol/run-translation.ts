import { convertToProtocolEvent, isCheckpointEnvelope } from '@langchain/langgraph/stream';
import type { Json, JsonObject } from '../../core/json.ts';
import { END_EVENT, type RunEvent } from '../../core/run-event.ts';
import type { RunError, RunStatus } from '../../core/run.ts';
import type { RunTurn } from '../../database/thread-turns.ts';

/** Each turn of a thread has this many numbers for its events. */
export const TURN_SPAN = 1_000_000;

/** An event of the protocol of threads, ready to be sent. */
export interface ProtocolEvent {
  /** Rises along the thread. Together with `event_id` the same for every reader, on every process, after any restart. */
  seq: number;
  event_id: string;
  method: string;
  namespace: string[];
  /** What it can be subscribed to by: `values`, `input`, `custom:name`, … */
  channel: string;
  /** The whole event as JSON text. */
  text: string;
}

type AgentStatus = 'started' | 'running' | 'completed' | 'failed' | 'interrupted';

/** What is known of one graph or subgraph of a run. */
export interface AgentNode {
  namespace: string[];
  status: AgentStatus;
  graph_name: string;
}

interface LifecycleData {
  event: AgentStatus;
  graph_name?: string;
  error?: string;
}

interface Content {
  namespace: string[];
  /** JSON text. */
  data: string;
  node?: string | undefined;
  channel?: string;
}

const INTERRUPT_PREFIX = '{"__interrupt__":';
/** LangGraph makes the ids of interrupts so. A resume value whose keys all are such ids answers by name. */
const INTERRUPT_ID = /^[0-9a-f]{32}$/;

/**
 * Makes the protocol's events of a run's log. They follow from the log's rows alone, in their order: whoever reads them,
 * whenever, comes to the same events with the same numbers.
 */
export class RunTranslation {
  readonly #turn: RunTurn;
  #count = 0;
  #began = false;
  #error: RunError | null = null;
  readonly #asked = new Set<string>();
  readonly #agents = new Map<string, AgentNode>();

  constructor(turn: RunTurn) {
    this.#turn = turn;
  }

  /** Whether the log was written for this protocol. As a stream of modes it has messages in another form. */
  get #isNative(): boolean {
    return this.#turn.protocol === 'v2';
  }

  /** The number of the latest event. */
  get seq(): number {
    return this.#turn.turn * TURN_SPAN + this.#count;
  }

  /** The run's graph, then its subgraphs as they began. */
  get agents(): AgentNode[] {
    return [...this.#agents.values()];
  }

  /** The events of the log's next row. */
  translate(row: RunEvent): ProtocolEvent[] {
    const [name = '', ...namespace] = row.event.split('|');
    switch (name) {
      case 'metadata':
        return this.#begin(row.at);
      case 'lifecycle':
        return this.#lifecycle(namespace, row.at, parse(row.data) as unknown as LifecycleData);
      case 'error':
        this.#error = parse(row.data) as unknown as RunError;
        return [];
      case END_EVENT:
        return this.#end(row.at, (parse(row.data) as { status: RunStatus }).status);
      default:
        return this.#emitted(name, namespace, row);
    }
  }

  /** What the graph has emitted. */
  #emitted(mode: string, namespace: string[], { at, data }: RunEvent): ProtocolEvent[] {
    switch (mode) {
      case 'values':
        if (data.startsWith(INTERRUPT_PREFIX)) return this.#ask(namespace, at, parse(data)['__interrupt__']);
        return data === '{}' ? [] : [this.#event(mode, at, { namespace, data })];
      case 'updates':
        return this.#updated(namespace, at, parse(data));
      case 'custom':
        return [this.#custom(namespace, at, data)];
      case 'tools':
        return [this.#event(mode, at, { namespace, data: this.#isNative ? data : toolsData(namespace, data) })];
      case 'tasks':
        return [this.#event(mode, at, { namespace, data })];
      case 'messages':
        return this.#isNative ? [this.#event(mode, at, { namespace, data, node: nodeOf(namespace) })] : [];
      case 'checkpoints':
        return isCheckpointEnvelope(parse(data)) ? [this.#event(mode, at, { namespace, data })] : [];
      default:
        return [];
    }
  }

  /** For whoever follows a run that is removed. A replay has neither this event nor the run's others. */
  removed(): ProtocolEvent[] {
    return this.#end(Date.now(), 'interrupted');
  }

  #begin(at: number): ProtocolEvent[] {
    // A later attempt goes on with what the first one began.
    if (this.#began) return [];
    this.#began = true;
    const begun = this.#lifecycle([], at, { event: 'running', graph_name: this.#turn.graph_id });
    const answered = answeredIds(this.#turn.resume);
    if (answered.length === 0) return begun;
    const data = JSON.stringify({ interrupt_ids: answered });
    return [...begun, this.#event('input.answered', at, { namespace: [], data, channel: 'input' })];
  }

  #end(at: number, status: RunStatus): ProtocolEvent[] {
    const event = terminalStatus(status, this.#asked.size > 0);
    const error = event === 'failed' && this.#error ? { error: this.#error.message } : {};
    return this.#lifecycle([], at, { event, graph_name: this.#turn.graph_id, ...error });
  }

  #lifecycle(namespace: string[], at: number, data: LifecycleData): ProtocolEvent[] {
    const graph_name = data.graph_name ?? nodeOf(namespace) ?? this.#turn.graph_id;
    this.#agents.set(namespace.join('|'), { namespace, status: data.event, graph_name });
    return [this.#event('lifecycle', at, { namespace, data: JSON.stringify(data) })];
  }

  /** Several modes tell of the same question. */
  #ask(namespace: string[], at: number, questions: Json | undefined): ProtocolEvent[] {
    const events: ProtocolEvent[] = [];
    for (const question of Array.isArray(questions) ? questions : []) {
      if (!isObject(question) || typeof question['id'] !== 'string' || this.#asked.has(question['id'])) continue;
      this.#asked.add(question['id']);
      const data = JSON.stringify({ interrupt_id: question['id'], payload: question['value'] ?? null });
      events.push(this.#event('input.requested', at, { namespace, data, channel: 'input' }));
    }
    return events;
  }

  #updated(namespace: string[], at: number, update: JsonObject): ProtocolEvent[] {
    const [node] = Object.keys(update);
    if (node === '__interrupt__') return this.#ask(namespace, at, update[node]);
    const values = node === undefined ? {} : update[node];
    const data = { ...(node !== undefined && { node }), values: isObject(values) ? values : { value: values ?? null } };
    return [this.#event('updates', at, { namespace, data: JSON.stringify(data), node })];
  }

  #custom(namespace: string[], at: number, data: string): ProtocolEvent {
    const payload = JSON.parse(data) as Json;
    if (!isObject(payload) || !('name' in payload)) {
      return this.#event('custom', at, { namespace, data: `{"payload":${data}}` });
    }
    const { name } = payload;
    return this.#event('custom', at, {
      namespace,
      data,
      ...(typeof name === 'string' && { channel: `custom:${name}` }),
    });
  }

  #event(method: string, at: number, { namespace, data, node, channel = method }: Content): ProtocolEvent {
    this.#count += 1;
    const { seq } = this;
    // Clients tell the runs of a thread apart by the ids of these events.
    const kind = method === 'lifecycle' && namespace.length === 0 ? 'synth:' : '';
    const event_id = `${kind}${this.#turn.run_id}:${this.#count}`;
    const head = JSON.stringify({ type: 'event', event_id, seq, method }).slice(0, -1);
    const params = JSON.stringify({ namespace, timestamp: at, ...(node !== undefined && { node }) }).slice(0, -1);
    return { seq, event_id, method, namespace, channel, text: `${head},"params":${params},"data":${data}}}` };
  }
}

function terminalStatus(status: RunStatus, asked: boolean): AgentStatus {
  if (status === 'success') return asked ? 'interrupted' : 'completed';
  return status === 'interrupted' ? 'interrupted' : 'failed';
}

function answeredIds(resume: Json): string[] {
  const ids = isObject(resume) ? Object.keys(resume) : [];
  return ids.every((id) => INTERRUPT_ID.test(id)) ? ids : [];
}

/** The older form of what tools do has other names for it. */
function toolsData(namespace: string[], data: string): string {
  const [event] = convertToProtocolEvent({ namespace, mode: 'tools', payload: JSON.parse(data), seq: 0 });
  return JSON.stringify(event?.params.data ?? null);
}

/** A place in a graph ends with the node and the task: `node:task`. */
function nodeOf(namespace: string[]): string | undefined {
  return namespace.at(-1)?.split(':', 1)[0];
}

function parse(data: string): JsonObject {
  const value = JSON.parse(data) as Json;
  return isObject(value) ? value : {};
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

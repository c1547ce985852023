import { ServiceError } from '../../core/errors.ts';
import { callApi, streamRun, type Api, type StreamEvent } from './run-stream.ts';

/** One execution of a node, as its events told it. */
interface NodeExecution {
  node: string;
  attempt: number;
  /** Null while it runs, and for ever when its worker was killed. */
  seconds: number | null;
}

/** What the graph's state says about a document so far. */
export interface DocumentState {
  invoice?: { supplier: string; number: string; total: number; currency: string };
  problems?: string[];
  model?: string;
  usage?: { cost_usd: number }[];
  outcome?: { status: string; invoice_id: number | null; already_posted: boolean } | null;
  __interrupt__?: { value: { question: string; problems: string[] } }[];
}

/** Runs one document through the pipeline over HTTP, prints each node as it happens, and remembers what was done. */
export class DocumentRun {
  readonly executions: NodeExecution[] = [];
  state: DocumentState = {};
  /** Set when the worker was killed. */
  killed: { finished: NodeExecution[]; costUsd: number } | null = null;
  readonly #api: Api;
  readonly #path: string;
  readonly #print: (line: string) => void;
  readonly #begun = new Map<string, { execution: NodeExecution; atMs: number }>();
  #attempt = 1;

  private constructor(api: Api, path: string, print: (line: string) => void) {
    this.#api = api;
    this.#path = path;
    this.#print = print;
  }

  static async open(api: Api, print: (line: string) => void): Promise<DocumentRun> {
    const { thread_id } = await callApi<{ thread_id: string }>(api, '/threads', {});
    return new DocumentRun(api, `/threads/${thread_id}`, print);
  }

  /** Nodes that an attempt before the kill had finished and that were begun again after it: the promise is that there are none. */
  get repeated(): string[] {
    const after = new Set(this.executions.filter(({ attempt }) => attempt > 1).map(({ node }) => node));
    return (this.killed?.finished ?? []).map(({ node }) => node).filter((node) => after.has(node));
  }

  /** `onBegin` is called as a node begins; returning a promise holds up the reading, not the run. */
  async run(request: object, onBegin: (node: string) => Promise<void> = async () => undefined): Promise<void> {
    this.#begun.clear();
    const body = { assistant_id: 'invoice', stream_mode: ['tasks', 'values'], ...request };
    for await (const event of streamRun(this.#api, `${this.#path}/runs/stream`, body)) {
      const begun = this.#take(event);
      if (begun) await onBegin(begun);
    }
  }

  /** Called as the worker dies: what it had finished must not be done again. */
  noteKill(): void {
    const finished = this.executions.filter(({ seconds }) => seconds !== null);
    this.killed = { finished, costUsd: costOf(this.state) };
  }

  /** Returns the name of a node that has just begun. */
  #take({ event, data }: StreamEvent): string | null {
    switch (event) {
      case 'metadata':
        this.#attempt = Number(data['attempt']);
        if (this.#attempt > 1) this.#print(`   another worker has taken over (attempt ${this.#attempt})`);
        return null;
      case 'values':
        this.state = { ...this.state, ...data };
        return null;
      case 'error':
        throw new ServiceError('invalid_input', `the run failed: ${String(data['message'])}`);
      case 'tasks':
        return this.#takeTask(data);
      default:
        return null;
    }
  }

  #takeTask(task: Record<string, unknown>): string | null {
    const [id, node] = [`${this.#attempt}/${String(task['id'])}`, String(task['name'])];
    const known = this.#begun.get(id);
    if (!known) {
      const execution: NodeExecution = { node, attempt: this.#attempt, seconds: null };
      this.executions.push(execution);
      this.#begun.set(id, { execution, atMs: performance.now() });
      return node;
    }
    known.execution.seconds = (performance.now() - known.atMs) / 1000;
    const waits = Array.isArray(task['interrupts']) && task['interrupts'].length > 0;
    this.#print(`   ${node.padEnd(16)}${waits ? 'waits for a person' : `${known.execution.seconds.toFixed(2)} s`}`);
    return null;
  }
}

export function costOf({ usage = [] }: DocumentState): number {
  return usage.reduce((sum, { cost_usd }) => sum + cost_usd, 0);
}

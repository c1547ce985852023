import type { RunnableConfig } from '@langchain/core/runnables';
import { isReached, type Spent, sumOf } from '../../core/budget.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { ExecutionRef, UsageRow } from '../../core/usage.ts';
import type { RunCost } from '../../state/unsaved/work-meter.ts';
import type { Attempt } from '../runs/attempt.ts';
import type { NodeEnd, RunObserver } from '../runs/run-observer.ts';
import { type ModelCall, ModelCalls } from './model-calls.ts';
import type { PriceList } from './price-list.ts';
import type { UsageLog } from './usage-log.ts';

export interface RunUsageParts {
  usageLog: UsageLog;
  prices: PriceList;
  observer: Pick<RunObserver, 'modelCalled'>;
}

/** An execution that calls no model and is shorter is not worth a row. */
const RECORDED_MS = 10;

const NO_TOKENS = { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };

/** What one attempt of a run uses. */
export class RunUsage implements RunCost {
  readonly #parts: RunUsageParts;
  readonly #attempt: Attempt;
  /** By task, of subgraphs too: with all that was called in it. */
  readonly #costs = new Map<string, number>();
  #spent: Spent = { cost: 0, tokens: 0, seconds: 0 };
  #recorded: Promise<void> = Promise.resolve();

  constructor(parts: RunUsageParts, attempt: Attempt) {
    this.#parts = parts;
    this.#attempt = attempt;
  }

  /** In all attempts so far, once `spend` was told of the earlier ones. */
  get spent(): Spent {
    return this.#spent;
  }

  /** Adds to what the run has spent, and stops the attempt when that reaches its budget. */
  spend(more: Spent): void {
    this.#spent = sumOf(this.#spent, more);
    const { budget } = this.#attempt.run.kwargs;
    if (budget && isReached(budget, this.#spent)) this.#attempt.exhaust();
  }

  ofTask(taskId: string): number {
    return this.#costs.get(taskId) ?? 0;
  }

  /** For one execution of a node of the graph itself. */
  open(node: string, config: RunnableConfig | undefined): NodeUsage {
    return new NodeUsage(executionOf(node, config), {
      worked: (seconds) => this.spend({ cost: 0, tokens: 0, seconds }),
      called: (execution, call) => this.#called(execution, call),
      ended: (execution, finished, seconds) => this.#ended(execution, finished, seconds),
    });
  }

  /** Resolves when all that was used so far is recorded. */
  recorded(): Promise<void> {
    return this.#recorded;
  }

  #called(execution: ExecutionRef, { model, tokens, place }: ModelCall): Promise<void> {
    const { prices, observer } = this.#parts;
    const cost = prices.cost(model, tokens);
    const name = model.answered ?? model.asked;
    for (const taskId of tasksIn(place)) this.#costs.set(taskId, this.ofTask(taskId) + (cost ?? 0));
    observer.modelCalled(this.#attempt.run.graph_id, { model: name, tokens, cost });
    this.spend({ cost: cost ?? 0, tokens: tokens.input_tokens + tokens.output_tokens, seconds: 0 });
    return this.#add({ ...execution, ...tokens, kind: 'call', model: name, cost, seconds: null, finished: false });
  }

  #ended(execution: ExecutionRef, finished: boolean, seconds: number): Promise<void> {
    return this.#add({ ...execution, ...NO_TOKENS, kind: 'node', model: null, cost: null, seconds, finished });
  }

  #add(row: Omit<UsageRow, 'usage_id' | 'run_id' | 'thread_id' | 'graph_id'>): Promise<void> {
    const { run_id, thread_id, graph_id } = this.#attempt.run;
    this.#recorded = this.#parts.usageLog.add({ ...row, usage_id: uuidv7(), run_id, thread_id, graph_id });
    return this.#recorded;
  }
}

interface Reports {
  worked: (seconds: number) => void;
  called: (execution: ExecutionRef, call: ModelCall) => Promise<void>;
  ended: (execution: ExecutionRef, finished: boolean, seconds: number) => Promise<void>;
}

/** What one execution of a node uses. */
export class NodeUsage {
  /** To be called back by the models that the node calls. */
  readonly calls: ModelCalls;
  readonly #execution: ExecutionRef;
  readonly #reports: Reports;
  #hasCalled = false;

  constructor(execution: ExecutionRef, reports: Reports) {
    this.#execution = execution;
    this.#reports = reports;
    this.calls = new ModelCalls((call) => {
      this.#hasCalled = true;
      void reports.called(execution, call);
    });
  }

  /** A node that has called a model ends when that is recorded: what its checkpoint keeps is never missing in the sums. */
  async ended(end: NodeEnd, ms: number): Promise<void> {
    this.#reports.worked(ms / 1000);
    if (!this.#hasCalled && ms < RECORDED_MS) return;
    const recorded = this.#reports.ended(this.#execution, end === 'success', ms / 1000);
    if (this.#hasCalled) await recorded;
  }
}

function executionOf(node: string, config: RunnableConfig | undefined): ExecutionRef {
  const { checkpoint_ns, checkpoint_id, checkpoint_map } = config?.configurable ?? {};
  const [taskId = ''] = tasksIn(String(checkpoint_ns ?? ''));
  const checkpointId: unknown = checkpoint_map?.[''] ?? checkpoint_id;
  return {
    execution_id: uuidv7(),
    node,
    task_id: taskId,
    checkpoint_id: typeof checkpointId === 'string' ? checkpointId : null,
  };
}

/** The tasks on the way to a place: `node:task|node:task`. */
function tasksIn(place: string): string[] {
  return place.split('|').flatMap((part) => part.split(':')[1] ?? []);
}

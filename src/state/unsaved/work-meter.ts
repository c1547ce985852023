/** What a task of a run has cost so far, in US dollars: 0 for one that called no model. */
export interface RunCost {
  ofTask(taskId: string): number;
}

/** The worth of unsaved work that is saved, not held any longer. `Infinity`: never for that. */
export interface WorkLimit {
  /** Time that nodes have taken. */
  ms: number;
  /** Money, in US dollars. */
  cost: number;
}

export interface WorkMeterOptions {
  limit: WorkLimit;
  cost?: RunCost;
  now?: () => number;
}

/**
 * Tells what the unsaved work of a run is worth. A task is weighed when it ends, by the time since its step began and by
 * what it has cost: only then is there something to save. The task around a subgraph is weighed with all that was in it,
 * though parts may be saved: that saves once more than needed, never once less.
 */
export class WorkMeter {
  readonly #limit: WorkLimit;
  readonly #cost: RunCost;
  readonly #now: () => number;
  /** By namespace: when its step under way began. */
  readonly #began: Map<string, number>;
  #unsaved: WorkLimit = { ms: 0, cost: 0 };

  constructor({ limit, cost = { ofTask: () => 0 }, now = () => performance.now() }: WorkMeterOptions) {
    this.#limit = limit;
    this.#cost = cost;
    this.#now = now;
    // A step that an earlier attempt began goes on now.
    this.#began = new Map([['', now()]]);
  }

  stepBegan(checkpointNs: string): void {
    for (const ns of this.#began.keys()) if (isBelow(ns, checkpointNs)) this.#began.delete(ns);
    this.#began.set(checkpointNs, this.#now());
  }

  taskEnded(checkpointNs: string, taskId: string): void {
    const began = this.#began.get(checkpointNs) ?? this.#began.get('') ?? 0;
    const { ms, cost } = this.#unsaved;
    this.#unsaved = { ms: ms + this.#now() - began, cost: cost + this.#cost.ofTask(taskId) };
  }

  isDue(): boolean {
    return this.#unsaved.ms > this.#limit.ms || this.#unsaved.cost > this.#limit.cost;
  }

  /** All that was weighed so far is being saved. */
  saved(): void {
    this.#unsaved = { ms: 0, cost: 0 };
  }
}

/** Whether a namespace is that of a subgraph below another. */
export function isBelow(checkpointNs: string, above: string): boolean {
  return above === '' ? checkpointNs !== '' : checkpointNs.startsWith(`${above}|`);
}

import type { TokenCount } from '../../core/usage.ts';

/** How an execution of a node ended: `interrupted` = it asks somebody, and will be executed again. */
export type NodeEnd = 'success' | 'error' | 'interrupted';

/** A call of a model that has ended. */
export interface ModelUse {
  /** Null when nobody says which. */
  model: string | null;
  tokens: TokenCount;
  /** In US dollars; null when its price is not known. */
  cost: number | null;
}

/** Is told what happens to runs on this process, as it happens. Must neither throw nor take long. */
export interface RunObserver {
  /** For the first time; `waitedMs` counts from when the run might have begun. */
  firstClaimed(waitedMs: number): void;
  ended(graphId: string, status: 'success' | 'error' | 'interrupted' | 'rolled_back'): void;
  leaseLost(): void;
  modelCalled(graphId: string, use: ModelUse): void;
  nodeEnded(graphId: string, node: string, end: NodeEnd, ms: number): void;
}

/** How an execution of a node ended: `interrupted` = it asks somebody, and will be executed again. */
export type NodeEnd = 'success' | 'error' | 'interrupted';

/** Is told what happens to runs on this process, as it happens. Must neither throw nor take long. */
export interface RunObserver {
  /** For the first time; `waitedMs` counts from when the run might have begun. */
  firstClaimed(waitedMs: number): void;
  ended(graphId: string, status: 'success' | 'error' | 'interrupted' | 'rolled_back'): void;
  leaseLost(): void;
  nodeEnded(graphId: string, node: string, end: NodeEnd, ms: number): void;
}

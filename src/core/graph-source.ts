import type { Budget } from './budget.ts';
import type { Durability } from './run.ts';

/** Where a graph comes from: one entry of `graphs` in langgraph.json. */
export interface GraphSource {
  /** Absolute path of the module. */
  file: string;
  exportName: string;
  description: string | null;
  /** Where the state of its threads is kept. Absent: where that of all others is. */
  state?: string;
  /** Of runs that name none. Absent: `sync`. */
  durability?: Durability;
  /** Of runs that name none. Absent: they may spend anything. */
  budget?: Budget;
}

import type { Json } from './json.ts';
import type { Interrupt, Thread } from './thread.ts';

/** What a run may spend before it asks whether to go on: US dollars, tokens, seconds of its nodes' work. */
export interface Budget {
  cost?: number | undefined;
  tokens?: number | undefined;
  seconds?: number | undefined;
}

export type Spent = { [K in keyof Budget]-?: number };

/** Stands in a thread's interrupts for the task that asks: no task of the graph does. */
export const BUDGET_TASK = '__budget__';

export function isReached({ cost = Infinity, tokens = Infinity, seconds = Infinity }: Budget, spent: Spent): boolean {
  return spent.cost >= cost || spent.tokens >= tokens || spent.seconds >= seconds;
}

/** Without the noise of binary fractions, which would be shown and compared. */
export function sumOf(one: Spent, other: Spent): Spent {
  return {
    cost: Number((one.cost + other.cost).toFixed(12)),
    tokens: one.tokens + other.tokens,
    seconds: one.seconds + other.seconds,
  };
}

/** The question of a run that has spent its budget. Its id has the form of LangGraph's own, by which clients answer. */
export function budgetQuestion(runId: string, budget: Budget, spent: Spent): Required<Interrupt> {
  const limits = Object.entries(budget).filter(([, limit]) => limit !== undefined);
  const question =
    'The run has spent its budget. Answer true to let it spend as much once more, or {"budget": {…}} with other limits';
  const shown = { ...spent, seconds: Number(spent.seconds.toFixed(3)) };
  const value = { type: 'budget', question, spent: shown, budget: Object.fromEntries(limits) as Json };
  return { id: runId.replaceAll('-', ''), value };
}

/** The open question of a thread that rests at a spent budget; null when it does not. */
export function openBudgetQuestion({ status, interrupts }: Pick<Thread, 'status' | 'interrupts'>): Interrupt | null {
  return status === 'interrupted' ? (interrupts[BUDGET_TASK]?.[0] ?? null) : null;
}

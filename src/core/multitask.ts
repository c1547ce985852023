import type { CancelAction, MultitaskStrategy } from './run.ts';

/** What a new run does to the runs that its thread is already busy with. */
export interface MultitaskPlan {
  refuse: boolean;
  cancel: Extract<CancelAction, 'interrupt' | 'rollback'> | null;
}

/** Decides once for all servers what "double texting" means. Cancelled runs end first: the new one waits for them. */
export function planMultitask(strategy: MultitaskStrategy, activeRuns: number): MultitaskPlan {
  if (activeRuns === 0) return { refuse: false, cancel: null };
  switch (strategy) {
    case 'reject':
      return { refuse: true, cancel: null };
    case 'enqueue':
      return { refuse: false, cancel: null };
    case 'interrupt':
    case 'rollback':
      return { refuse: false, cancel: strategy };
  }
}

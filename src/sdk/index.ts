export { currentRun, type CurrentRun } from './current-run.ts';
export type { Duration } from '../core/duration.ts';
export {
  effect,
  EffectFailedError,
  type EffectAnswer,
  type EffectContext,
  type EffectOptions,
  type EffectRetry,
} from './effect.ts';
export { recordModel } from './record-model.ts';
export { sleep } from './sleep.ts';
export { waitForEvent, type ReceivedEvent } from './wait-for-event.ts';

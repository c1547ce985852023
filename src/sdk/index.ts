export { compact, type CompactMessagesOptions, type CompactOptions, type Replacement } from './compact.ts';
export { blob, type BlobOptions } from './blob.ts';
export type { BlobRef } from '../core/blob-files.ts';
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
export { estimateTokens, type TokenCounter } from './tokens.ts';
export { view, type LeftOut, type View, type ViewOptions, type ViewPart } from './view.ts';

import type { Scenario } from '../scenario.ts';
import { ASSISTANTS } from './assistants.ts';
import { BUSY } from './busy.ts';
import { EVENT_STREAMS } from './event-streams.ts';
import { META, STORE } from './meta.ts';
import { COMMANDS, RUN_SCENARIOS } from './runs.ts';
import { PROTOCOL } from './protocol.ts';
import { STATES } from './state.ts';
import { STATELESS } from './stateless.ts';
import { STREAMS } from './streams.ts';
import { THREADS } from './threads.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...META,
  ...ASSISTANTS,
  ...THREADS,
  ...STATES,
  ...RUN_SCENARIOS,
  ...COMMANDS,
  ...STREAMS,
  ...BUSY,
  ...STATELESS,
  ...STORE,
  ...PROTOCOL,
  ...EVENT_STREAMS,
];

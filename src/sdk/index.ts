export { currentRun, type CurrentRun } from './current-run.ts';

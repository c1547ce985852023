import { randomUUID } from 'node:crypto';
import type { Random } from '../random.ts';

/** What one run is told to do. It is the graph's input, so all that it comes to can be said beforehand. */
export interface Plan {
  /** The business key of what is done to the world. */
  order: string;
  /** Branches side by side. */
  width: number;
  loops: number;
  tokens: number;
  /** 0: none. Short ones are waited for in place, long ones park the run. */
  sleepMs: number;
  asks: boolean;
  waits: boolean;
}

export function makePlan(random: Random): Plan {
  return {
    order: randomUUID(),
    width: random.int(2, 4),
    loops: random.int(1, 3),
    tokens: random.int(3, 25),
    sleepMs: random.pick([0, 0, 200, 400, 1500, 2500]),
    asks: random.chance(0.4),
    waits: random.chance(0.4),
  };
}

/** Everything that is done to the world for a plan, once each; the state ends up with a label for each. */
export function actionsOf({ width, loops, asks, waits }: Plan): string[] {
  const count = (name: string, times: number) => Array.from({ length: times }, (_, index) => `${name} ${index}`);
  return [
    'reserve',
    ...count('charge', width),
    'collect',
    ...count('note', loops),
    ...(asks ? ['before the question', 'after the answer'] : []),
    ...(waits ? ['signal'] : []),
    'book',
    'settle',
  ].toSorted();
}

import { randomInt } from 'node:crypto';

/** Nine digits: with the step before the point they stay exact in a double, and in JSON, up to step 9,000,000. */
const FRACTIONS = 1_000_000_000;

/**
 * The version after `current`: the next whole step plus a random fraction, so that two branches never give one version
 * to two values. Numbers, so that a thread begun with the integers of another saver goes on.
 */
export function nextVersion(current: number | undefined): number {
  const step = Math.floor(current ?? 0) + 1;
  return step + randomInt(1, FRACTIONS) / FRACTIONS;
}

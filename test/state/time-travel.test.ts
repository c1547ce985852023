import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STORES, type TestStore } from './stores.ts';
import { CHECKS, STEP_CHECKS } from './time-travel-checks.ts';

// The same promises on every driver, at every durability.
describe.each(Object.entries(STORES))('%s', (_, open) => {
  let store: TestStore;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());

  const always = Object.entries(CHECKS);
  const stepwise = [...always, ...Object.entries(STEP_CHECKS)];
  describe.each([
    ['sync', stepwise],
    ['async', stepwise],
    ['exit', always],
  ] as const)('durability %s', (durability, checks) => {
    it.each(checks)('%s', async (_title, check) => {
      expect.hasAssertions();
      await check(store.saver, durability);
    });
  });
});

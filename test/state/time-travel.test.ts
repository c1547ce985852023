import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HoldingSaver } from './holding-saver.ts';
import { STORES, type TestStore } from './stores.ts';
import { CHECKS, REST_CHECKS, STEP_CHECKS } from './time-travel-checks.ts';

// The same promises on every driver, at every durability.
describe.each(Object.entries(STORES))('%s', (_, open) => {
  let store: TestStore;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());

  const always = Object.entries(CHECKS);
  const resting = [...always, ...Object.entries(REST_CHECKS)];
  const stepwise = [...resting, ...Object.entries(STEP_CHECKS)];
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

  // With `auto` LangGraph is told `sync`, and the saver leaves out what it needs not.
  describe.each([
    ['and never saved', 'when due', Infinity, always],
    ['and saved before it is read', 'before reads', Infinity, resting],
    ['and always worth saving', 'when due', -1, stepwise],
  ] as const)('held %s', (__, saves, limit, checks) => {
    it.each(checks)('%s', async (_title, check) => {
      expect.hasAssertions();
      await check(new HoldingSaver(store.saver, saves, { limit: { ms: limit, cost: limit } }), 'sync');
    });
  });
});

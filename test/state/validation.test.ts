import {
  type CheckpointSaverTestInitializer,
  deltaChannelHistoryTests,
  specTest,
} from '@langchain/langgraph-checkpoint-validation';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DurableSaver } from '../../src/state/durable-saver.ts';
import { STORES, type TestStore } from './stores.ts';

// LangGraph's own conformance suite. It asks the runner for its functions by their global names.
Object.assign(globalThis, { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it });

describe.each(Object.keys(STORES))('%s', (name) => {
  const open = new Map<DurableSaver, TestStore>();
  const initializer: CheckpointSaverTestInitializer<DurableSaver> = {
    checkpointerName: `DurableSaver on ${name}`,
    createCheckpointer: async () => {
      const store = await STORES[name]?.();
      if (store === undefined) throw new Error(`no store ${name}`);
      open.set(store.saver, store);
      return store.saver;
    },
    destroyCheckpointer: (saver) => open.get(saver)?.close(),
  };
  specTest(initializer);
  deltaChannelHistoryTests(initializer);
});

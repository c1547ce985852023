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

describe.each(Object.entries(STORES))('%s', (name, open) => {
  const checkpointerName = `DurableSaver on ${name}`;
  let store: TestStore;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());
  // Most have threads of their own, and need no store of their own for each test.
  const shared: CheckpointSaverTestInitializer<DurableSaver> = {
    checkpointerName,
    createCheckpointer: () => store.saver,
  };
  specTest(shared, ['put', 'putWrites', 'getTuple', 'deleteThread']);
  deltaChannelHistoryTests(shared);

  // What is listed is all that there is.
  let own: TestStore;
  specTest(
    {
      checkpointerName,
      createCheckpointer: async () => {
        own = await open();
        return own.saver;
      },
      destroyCheckpointer: () => own.close(),
    },
    ['list'],
  );
});

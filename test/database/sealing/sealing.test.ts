import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { DataKeys } from '../../../src/core/data-key.ts';
import { Sealing } from '../../../src/database/sealing/sealing.ts';
import { MemoryKeys } from '../../memory-keys.ts';

it('a long list asks for the keys of a few of its rows at a time', async () => {
  const memory = new MemoryKeys();
  let asked = 0;
  let mostAtOnce = 0;
  const keys: DataKeys = {
    of: (threadId) => memory.of(threadId),
    find: (threadId) => memory.find(threadId),
    byId: async (id) => {
      mostAtOnce = Math.max(mostAtOnce, ++asked);
      await setImmediate();
      asked -= 1;
      return memory.byId(id);
    },
  };
  const sealing = new Sealing({ keys, readsPlain: false, clearMetadata: new Set() });
  const config = { recursion_limit: 7 };
  const sealed = Array.from({ length: 30 }, (_, index) => `thread ${index}`).map(async (thread_id) => {
    const text = await (await sealing.cells(thread_id)).json(['thread.config', thread_id], config);
    return { thread_id, config: JSON.parse(text) as unknown };
  });
  const faults: Error[] = [];
  const rows = await sealing.openEach(await Promise.all(sealed), (_, error) => faults.push(error));
  expect(rows.map((row) => row.config)).toEqual(Array.from({ length: 30 }, () => config));
  expect(faults).toEqual([]);
  expect(mostAtOnce).toBe(8);
});

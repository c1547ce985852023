import { emptyCheckpoint, MemorySaver, uuid6 } from '@langchain/langgraph-checkpoint';
import { expect, it } from 'vitest';
import { FENCING_TOKEN_KEY } from '../../src/core/fencing.ts';
import { ForeignSaver } from '../../src/state/foreign-saver.ts';
import { namingOutages } from '../../src/state/outages.ts';

const META = { source: 'loop', step: 0, parents: {} } as const;
const COMMANDS = '00000000-0000-0000-0000-000000000000';

function open(held = 1) {
  const inner = new MemorySaver();
  const mayWrite = async (_threadId: string, token: number) => token >= held;
  return { inner, saver: new ForeignSaver({ saver: inner, name: 'it', mayWrite, closes: false }) };
}

const by = (token: number, run_id: string, more: object = {}) => ({
  configurable: { thread_id: 't', checkpoint_ns: '', run_id, [FENCING_TOKEN_KEY]: token, ...more },
});

it('a writer who has lost the thread is refused, as far as the control plane knows', async () => {
  const { saver, inner } = open(5);
  await expect(saver.fence('t', 4)).rejects.toMatchObject({ name: 'FencedError' });
  await saver.fence('t', 5);
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0) };
  await expect(saver.put(by(4, 'r'), checkpoint, META, {})).rejects.toMatchObject({ name: 'FencedError' });
  const at = await saver.put(by(5, 'r'), checkpoint, META, {});
  const late = by(4, 'r', { checkpoint_id: checkpoint.id });
  await expect(saver.putWrites(late, [['v', 1]], 'task')).rejects.toMatchObject({ name: 'FencedError' });
  expect((await saver.getTuple(at))?.pendingWrites).toEqual([]);
  expect(JSON.stringify([inner.storage, inner.writes])).not.toContain(FENCING_TOKEN_KEY);
});

it('says which runs have begun at the latest checkpoint: the one that wrote it, and the one whose command it has', async () => {
  const { saver, inner } = open();
  expect(await saver.latest('t')).toBeUndefined();
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0) };
  const at = await saver.put(by(1, 'first'), checkpoint, META, {});
  expect(await saver.latest('t')).toEqual({
    checkpoint_id: checkpoint.id,
    run_id: 'first',
    pending_writes: 0,
    touched_by: ['first'],
  });
  const command = by(1, 'second', { checkpoint_id: checkpoint.id });
  await saver.putWrites(command, [['__resume__', 'yes']], COMMANDS);
  expect(await saver.latest('t')).toMatchObject({
    run_id: 'first',
    pending_writes: 1,
    touched_by: ['first', 'second'],
  });
  const seen = [[COMMANDS, '__resume__', 'yes']];
  expect((await saver.getTuple(at))?.pendingWrites).toEqual(seen);
  for await (const tuple of saver.list({ configurable: { thread_id: 't' } })) expect(tuple.pendingWrites).toEqual(seen);
  expect((await inner.getTuple(at))?.pendingWrites).toHaveLength(2);
});

it('a flush waits for what is on its way', async () => {
  const { saver } = open();
  const put = saver.put(by(1, 'r'), { ...emptyCheckpoint(), id: uuid6(0) }, META, {});
  await saver.flush('t');
  expect(await saver.latest('t')).toBeDefined();
  await put;
});

it('a lost connection is told with the name of the store, and nothing else is', async () => {
  const lost = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:6379'), { code: 'ECONNREFUSED' });
  const failure = {
    get: async (error: Error): Promise<void> => {
      throw error;
    },
    close: () => 'closed',
  };
  const store = namingOutages(failure, 'redis://host/0');
  await expect(store.get(lost)).rejects.toMatchObject({
    code: 'unavailable',
    message: 'The state store redis://host/0 is out of reach: see that it runs, then try again',
    cause: lost,
  });
  await expect(store.get(new TypeError('a fault of ours'))).rejects.toThrow(new TypeError('a fault of ours'));
  expect(store.close()).toBe('closed');
});

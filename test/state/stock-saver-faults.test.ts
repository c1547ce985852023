import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../postgres.ts';
import { CHECKS, REST_CHECKS, STEP_CHECKS } from './time-travel-checks.ts';

// What LangGraph's own PostgresSaver gets wrong and ours does not, by the same checks. One that begins to pass was mended there.
const ALL = { ...CHECKS, ...REST_CHECKS, ...STEP_CHECKS };

describe('the stock PostgresSaver', () => {
  let database: TestDatabase;
  let pool: Pool;
  let saver: PostgresSaver;
  beforeAll(async () => {
    database = await testDatabase();
    pool = new Pool({ connectionString: database.url });
    saver = new PostgresSaver(pool);
    await saver.setup();
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  it.each([
    'an edit at every checkpoint is what the run goes on from',
    'a fork of a fork',
    'the latest is what was stored last, though a clock was wrong',
    'a new input from an older checkpoint reads back as it ran',
    'a replayed node that answers otherwise is read back with the new answer',
    'an answer is not given to the second question when the run is retried',
    'an answer that was used before a failure is not used again after it',
    'a DeltaChannel reads back in the order in which it was built, after a fan-out',
    'a retried run neither applies its input again nor repeats a finished branch',
  ])('fails at: %s', async (title) => {
    await expect(ALL[title]?.(saver, 'sync')).rejects.toThrow(expect.objectContaining({ name: 'AssertionError' }));
  });

  it.each(['a run reads back as it ended', 'two questions in one node, each answered once'])(
    'passes: %s',
    async (title) => {
      expect.hasAssertions();
      await ALL[title]?.(saver, 'sync');
    },
  );
});

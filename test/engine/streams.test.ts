import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemAssistantId, uuidv7 } from '../../src/core/ids.ts';
import { END_EVENT } from '../../src/core/run-event.ts';
import { Database } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { RunEvents } from '../../src/database/run-events.ts';
import { RunStreams } from '../../src/engine/streams/run-streams.ts';
import { testDatabase } from '../postgres.ts';

const log = pino({ level: 'silent' });
let server: Awaited<ReturnType<typeof testDatabase>>;
let database: Database;
beforeAll(async () => {
  server = await testDatabase();
  database = new Database({ url: server.url, log, applicationName: 'test' });
  await migrate(database);
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

it('a reader whose hint got lost is late, and hears of the end', async () => {
  const [thread_id, run_id] = [uuidv7(), uuidv7()];
  await database.query('insert into baton.threads (thread_id) values ($1)', [thread_id]);
  await database.query(
    `insert into baton.runs (run_id, thread_id, assistant_id, graph_id, status, kwargs, multitask_strategy)
     values ($1, $2, $3, 'line', 'running', '{}', 'enqueue')`,
    [run_id, thread_id, systemAssistantId('line')],
  );
  const append = (seq: number, event: string) =>
    database.query(`insert into baton.run_events (run_id, seq, event, data) values ($1, $2, $3, '{}')`, [
      run_id,
      seq,
      event,
    ]);
  await append(0, 'metadata');

  // It listens to nothing.
  const streams = new RunStreams({ events: new RunEvents(database), log });
  const reader = streams.follow(run_id, { afterSeq: -1, signal: new AbortController().signal });
  expect((await reader.next()).value).toMatchObject({ seq: 0 });
  const next = reader.next();
  await append(1, END_EVENT);
  await streams.lookAround();
  expect((await next).value).toMatchObject({ seq: 1, event: END_EVENT });
  expect((await reader.next()).done).toBe(true);
});

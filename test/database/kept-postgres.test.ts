import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { outliveConnections } from '../../src/core/connection-loss.ts';
import { Database } from '../../src/database/database.ts';
import { KeptPostgres } from '../../src/database/embedded/keep-postgres.ts';

const log = pino({ level: 'silent' });

it('a Postgres of our own that is killed is started again for those who still want it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'baton-kept-'));
  await chmod(folder, 0o711);
  const dataDir = join(folder, 'postgres');
  const postgres = await KeptPostgres.start({ dataDir, log });
  const database = new Database({
    url: postgres.url,
    log,
    applicationName: 'test',
    onLost: () => void postgres.revive(),
  });
  try {
    await database.listener.listen('baton_test', () => undefined);
    await database.query('create table kept as select 1 as n');
    const pid = Number((await readFile(join(dataDir, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    process.kill(pid, 'SIGKILL');
    const ask = () => outliveConnections(() => database.query('select n from kept'));
    // Recovery may take longer than one patience on a busy machine.
    expect(await ask().catch(ask)).toEqual([{ n: 1 }]);
  } finally {
    await database.close();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

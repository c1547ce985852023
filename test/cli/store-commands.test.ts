import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bigText } from '../blobs/fixtures/big-graph.ts';
import { Database } from '../../src/database/database.ts';
import { openState } from '../../src/state/open-state.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';
import { log } from '../state/stores.ts';
import { TestProject } from './project.ts';

const file = new URL('../blobs/fixtures/big-graph.ts', import.meta.url).pathname;
const graphs = { big: { file, exportName: 'big', description: null } };
const [k1, k2] = ['k1', 'k2'].map((id) => ({ id, secret: randomBytes(32).toString('base64') }));

/** A project whose threads were kept in `old.db`, in clear, and are to be kept encrypted in `new.db`. */
const project = new TestProject({ 'langgraph.json': JSON.stringify({ graphs: { big: `${file}:big` } }) });
const sqlite = (name: string) => `sqlite:${join(project.dir, name)}`;
const stateUrl = `encrypted+${sqlite('new.db')}?migrate=plain`;
const blobs = { url: `disk:${join(project.dir, 'blobs')}`, limitBytes: 4096, credentials: {} };
let server: TestServer;
let env: Record<string, string>;
let thread = '';

beforeAll(async () => {
  server = await testServer({ graphs, stateUrl: sqlite('old.db'), settings: { blobs } });
  thread = (await server.client.threads.create()).thread_id;
  await server.client.runs.wait(thread, 'big', { input: {} });
  await server.baton.stop();
  env = {
    DATABASE_URL: String(server.config.databaseUrl),
    STATE_URL: stateUrl,
    BLOB_URL: blobs.url,
    BATON_BLOB_BYTES: '4096',
    BATON_KEYS: `k2:${k2?.secret},k1:${k1?.secret}`,
  };
});

afterAll(async () => {
  await server.stop();
  await project.remove();
});

async function objects(): Promise<string[]> {
  const names = await readdir(join(project.dir, 'blobs'), { recursive: true });
  const kept = names.filter((name) => /\.\d+$/.test(name) && !name.includes('~owner'));
  return Promise.all(kept.map((name) => readFile(join(project.dir, 'blobs', name), 'utf8')));
}

async function encrypted(): Promise<TestServer> {
  const encryption = { keys: [k2, k1].filter((key) => key !== undefined), clearMetadata: [] };
  return server.restart({ settings: { stateUrl, encryption } });
}

describe('the commands of a project that moves to an encrypted store', () => {
  test('baton state copy copies what there is, and says what it left', async () => {
    const nobody = randomUUID();
    const args = ['state', 'copy', '--from', 'sqlite:./old.db', '--threads', `${thread},${nobody}`];
    const baton = project.baton(args, env);
    expect(await baton.exit).toBe(1);
    expect(baton.output).toMatch(new RegExp(`^left ${nobody}: State of thread ${nobody} not found`));
    expect(baton.output).toMatch(/\n1 threads copied and verified: (\d+) checkpoints \(\1 new\), \d+ bytes; 1 left\n$/);
    // In clear, and sealed.
    expect(await objects()).toHaveLength(2);
  });

  test('baton blobs sweep --dry-run says what only the old store refers to, and a sweep removes it', async () => {
    const baton = project.baton(['blobs', 'sweep', '--dry-run', '--older-than', '0s'], env);
    expect(await baton.exit).toBe(0);
    expect(baton.output).toBe(
      [
        '1 references to values that their threads no longer have would be released, and then what nothing else refers to deleted',
        '0 objects that nobody uses would be deleted: 0 bytes',
        '0 objects that no row knows would be deleted: 0 bytes\n',
      ].join('\n'),
    );
    expect(await objects()).toContain(JSON.stringify(bigText('raw')));

    const later = await encrypted();
    const database = new Database({ url: later.baton.databaseUrl, log, applicationName: 'test' });
    await database.query('update baton.blobs set lease_until = now()');
    await database.close();
    expect(await later.baton.sweepBlobs({ olderThanMs: 0 })).toMatchObject({ stale: 1, unused: { count: 1 } });
    const [kept = '', ...others] = await objects();
    expect(others).toEqual([]);
    expect(kept).not.toContain('quick brown fox');
    const done = await later.client.runs.wait(thread, 'big', { command: { resume: 'look' } });
    expect(done).toMatchObject({ size: 200_000, raw: bigText('raw') });
    await later.baton.stop();
  });

  test('no process opens it when its settings encrypt nothing', async () => {
    const plain = { ...env, STATE_URL: sqlite('new.db') };
    const asked = [['worker'], ['blobs', 'sweep'], ['state', 'copy', '--from', stateUrl]];
    const started = asked.map((args) => project.baton(args, plain));
    for (const baton of started) {
      expect(await baton.exit).toBe(1);
      expect(baton.output).toMatch(/^baton: This control plane is sealed [^\n]*"encrypted\+"[^\n]*BATON_KEYS[^\n]*\n$/);
    }
  });

  test('baton rotate-keys --dry-run says which key wraps how many', async () => {
    const baton = project.baton(['rotate-keys', '--dry-run'], env);
    expect(await baton.exit).toBe(0);
    expect(baton.output).toMatch(
      /^"k2" wraps [1-9]\d* keys, and wraps all new ones\n"k1" wraps 0 keys: it can go from BATON_KEYS\n$/,
    );
  });
});

test('a copy in a store that the project does not use has its big values itself', async () => {
  server = await encrypted();
  const copied = { from: null, to: sqlite('backup.db'), threads: [thread], dryRun: false };
  expect(await server.baton.copyState(copied, () => undefined)).toMatchObject({ threads: 1 });
  await server.client.threads.delete(thread);
  const backup = await openState({ url: sqlite('backup.db'), log });
  const tuple = await backup.getTuple({ configurable: { thread_id: thread } });
  expect(tuple?.checkpoint.channel_values['raw']).toBe(bigText('raw'));
  await backup.close();
});

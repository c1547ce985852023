import { execFileSync } from 'node:child_process';
import { Client as Postgres } from 'pg';
import { Client } from '@langchain/langgraph-sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { testDatabase, type TestDatabase } from '../postgres.ts';
import { TestProject, type BatonProcess } from './project.ts';

/** Each test starts whole servers, some of them several times. */
vi.setConfig({ testTimeout: 90_000 });

let project: TestProject;
let database: TestDatabase;

beforeEach(async () => {
  project = new TestProject({
    'langgraph.json': '{"graphs":{"agent":"./agent.ts:graph"},"env":{"WORD":"hello"}}',
    'agent.ts': agent('one'),
  });
  database = await testDatabase();
});
afterEach(async () => {
  await project.remove();
  await database.drop();
});

/** A graph that says which version of its source ran, and a word from the environment. */
function agent(version: string): string {
  return `
    import { Annotation, START, StateGraph } from '@langchain/langgraph';
    const State = Annotation.Root({ said: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }) });
    export const graph = new StateGraph(State)
      .addNode('say', () => ({ said: [process.env.WORD + ' ${version}'] }))
      .addEdge(START, 'say');`;
}

async function run(baton: BatonProcess, threadId: string): Promise<unknown> {
  const client = new Client({ apiUrl: await baton.url() });
  return client.runs.wait(threadId, 'agent', { input: {} });
}

/** Processes of this project, among them the Postgres below it. The dead that nobody has buried yet do not count. */
function processesLeft(baton: BatonProcess): string[] {
  const left = execFileSync('ps', ['-A', '-o', 'stat=,pgid=,pid=,args='], { encoding: 'utf8' }).split('\n');
  const ofGroup = new RegExp(`^\\S+ +${baton.pid} `);
  return left.filter((line) => !line.startsWith('Z') && (ofGroup.test(line) || line.includes(project.dir)));
}

describe('with a Postgres of its own', () => {
  test('start serves a project, Ctrl-C leaves no process behind, and the state is there the next time', async () => {
    const first = project.baton(['start', '--port', '0']);
    const url = await first.url();
    expect(first.output).toContain(`Docs      ${url}/docs`);
    expect(first.output).toMatch(/Database {2}.*Postgres.*in \.baton/);
    expect(first.output).toContain('State     in the same database');
    expect(first.output).toContain('Graphs    agent');
    expect(await (await fetch(`${url}/ok`)).json()).toEqual({ ok: true });
    const { thread_id } = await new Client({ apiUrl: url }).threads.create();
    expect(await run(first, thread_id)).toEqual({ said: ['hello one'] });
    expect(processesLeft(first)).not.toEqual([]);

    first.ctrlC();
    expect(await first.exit).toBe(0);
    expect(processesLeft(first)).toEqual([]);

    const second = project.baton(['start', '--port', '0']);
    expect(await run(second, thread_id)).toEqual({ said: ['hello one', 'hello one'] });
  });

  test('dev keeps threads over a change of the sources, and Ctrl-C leaves no process behind', async () => {
    const baton = project.baton(['dev', '--port', '0']);
    const url = await baton.url();
    const { thread_id } = await new Client({ apiUrl: url }).threads.create();
    expect(await run(baton, thread_id)).toEqual({ said: ['hello one'] });

    project.write({ 'agent.ts': agent('two') });
    await baton.says(/agent\.ts changed: started again in \d+ ms/);
    expect(await run(baton, thread_id)).toEqual({ said: ['hello one', 'hello two'] });

    baton.ctrlC();
    expect(await baton.exit).toBe(0);
    expect(processesLeft(baton)).toEqual([]);
  });

  test('dev that is killed takes its server and Postgres along', async () => {
    const baton = project.baton(['dev', '--port', '0']);
    await baton.url();
    baton.child.kill('SIGKILL');
    await expect.poll(() => processesLeft(baton), { timeout: 30_000 }).toEqual([]);
  });
});

describe('dev', () => {
  test('waits for the next change when a project cannot be started', async () => {
    const baton = project.baton(['dev', '--port', '0'], { DATABASE_URL: database.url });
    const url = await baton.url();
    const { thread_id } = await new Client({ apiUrl: url }).threads.create();

    project.write({ 'langgraph.json': '{' });
    await baton.says(/langgraph\.json is not valid JSON/);
    await baton.says(/langgraph\.json changed: not started, waiting for the next change/);
    project.write({ 'langgraph.json': '{"graphs":{"agent":"./agent.ts:graph"},"env":{"WORD":"bye"}}' });
    await baton.says(/langgraph\.json changed: started again/);
    expect(await run(baton, thread_id)).toEqual({ said: ['bye one'] });

    project.write({ 'agent.ts': 'export const graph = ;' });
    await baton.says(/Graph "agent" failed to load from .*agent\.ts/);
    await baton.says(/agent\.ts changed: started again/);
    const from = baton.output.length;
    project.write({ 'agent.ts': agent('two') });
    await baton.says(/agent\.ts changed: started again/, from);
    expect(await run(baton, thread_id)).toEqual({ said: ['bye one', 'bye two'] });
  });

  test('starts a server again that was killed', async () => {
    const baton = project.baton(['dev', '--port', '0'], { DATABASE_URL: database.url });
    const url = await baton.url();
    const server = processesLeft(baton).find((line) => line.includes('dev-server'));
    process.kill(Number(server?.trim().split(/ +/)[2]), 'SIGKILL');
    await baton.says(/The server ended \(SIGKILL\): started again/);
    expect((await fetch(`${url}/ok`)).status).toBe(200);
  });

  test('ends quietly with a Ctrl-C that finds its new server just born', async () => {
    // Before any code of Baton's, so that the signal ends the server while its parent still sees a connection.
    project.write({ 'born.cjs': `if (process.argv.includes('dev-server')) console.log('born');` });
    const env = { DATABASE_URL: database.url, NODE_OPTIONS: '--require ./born.cjs' };
    const baton = project.baton(['dev', '--port', '0'], env);
    await baton.url();
    const from = baton.output.length;
    project.write({ 'agent.ts': agent('two') });
    await baton.says(/born/, from);
    baton.ctrlC();
    expect(await baton.exit).toBe(0);
    expect(baton.output.slice(from)).not.toMatch(/ERR_IPC|Error|at /);
    expect(processesLeft(baton)).toEqual([]);
  });

  test('ends with SIGTERM and exit code 0', async () => {
    const baton = project.baton(['dev', '--port', '0'], { DATABASE_URL: database.url });
    await baton.url();
    baton.child.kill('SIGTERM');
    expect(await baton.exit).toBe(0);
    expect(processesLeft(baton)).toEqual([]);
  });

  test('ends with exit code 1 when the first start fails', async () => {
    const env = { DATABASE_URL: 'postgres://nobody:secret@127.0.0.1:1/none' };
    const baton = project.baton(['dev', '--port', '0'], env);
    expect(await baton.exit).toBe(1);
    expect(baton.output).not.toContain('secret');
    expect(processesLeft(baton)).toEqual([]);
  });
});

test.each([
  ['a promise that nobody awaits', `void Promise.reject(new Error('lost'))`],
  ['a timer', `setTimeout(() => { throw new Error('lost'); })`],
])('a server outlives a node that throws in %s', async (_, statement) => {
  const careless = `
    import { Annotation, START, StateGraph } from '@langchain/langgraph';
    export const graph = new StateGraph(Annotation.Root({ done: Annotation<boolean>() }))
      .addNode('careless', async () => { ${statement}; await new Promise(setImmediate); return { done: true }; })
      .addEdge(START, 'careless');`;
  project.write({ 'agent.ts': careless });
  const baton = project.baton(['start', '--port', '0'], { DATABASE_URL: database.url });
  const client = new Client({ apiUrl: await baton.url() });
  for (let i = 0; i < 2; i++) {
    const { thread_id } = await client.threads.create();
    const from = baton.output.length;
    expect(await client.runs.wait(thread_id, 'agent', { input: {} })).toEqual({ done: true });
    await baton.says(/"level":50.*Error: lost.*agent\.ts/, from);
  }
  baton.child.kill('SIGTERM');
  expect(await baton.exit).toBe(0);
});

test('start --no-worker leaves the runs to worker', async () => {
  const env = { DATABASE_URL: database.url };
  const api = project.baton(['start', '--no-worker', '--port', '0'], env);
  const client = new Client({ apiUrl: await api.url() });
  const { thread_id } = await client.threads.create();
  const { run_id } = await client.runs.create(thread_id, 'agent', { input: {} });
  expect((await client.runs.get(thread_id, run_id)).status).toBe('pending');

  const worker = project.baton(['worker'], { ...env, BATON_HOST: '0.0.0.0' });
  expect(await client.runs.join(thread_id, run_id)).toEqual({ said: ['hello one'] });
  expect(worker.output).not.toContain('API');

  const measured = project.baton(['worker', '--port', '0'], env);
  const url = await measured.url();
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('lg_api_workers_max 10');
  expect((await fetch(`${url}/threads/${thread_id}`)).status).toBe(404);
});

test('migrate brings the databases up to date and ends', async () => {
  const baton = project.baton(['migrate'], { DATABASE_URL: database.url });
  expect(await baton.exit).toBe(0);
  expect(baton.output).toContain('up to date');
  const client = new Postgres({ connectionString: database.url });
  await client.connect();
  const { rows } = await client.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'baton%' ORDER BY 1`);
  await client.end();
  expect(rows).toEqual([{ nspname: 'baton' }, { nspname: 'baton_state' }, { nspname: 'baton_store' }]);
});

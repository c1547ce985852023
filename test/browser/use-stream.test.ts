import { Client } from '@langchain/langgraph-sdk';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/core/ids.ts';
import { TestProject } from '../cli/project.ts';
import { testDatabase, type TestDatabase } from '../postgres.ts';
import { gate } from '../sdk/fixtures/gates.ts';
import { startChromium } from './chromium.ts';
import { servePage } from './page-server.ts';
import { StandInModel } from './stand-in-model.ts';

const CONFIG = fileURLToPath(new URL('langgraph.json', import.meta.url));
const CLIENTS = [
  { client: 'sdk', transport: 'sse' },
  { client: 'react', transport: 'sse' },
  { client: 'react', transport: 'websocket' },
] as const;
const SOON = { timeout: 10_000 };

let chromium: Browser;
let model: StandInModel;
let database: TestDatabase;
let pages: Awaited<ReturnType<typeof servePage>>;
let apiUrl: string;
let client: Client;
const project = new TestProject();

beforeAll(async () => {
  [chromium, model, database, pages] = await Promise.all([
    startChromium(),
    StandInModel.start(),
    testDatabase(),
    servePage(),
  ]);
  const env = { DATABASE_URL: database.url, OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'none' };
  apiUrl = await project.baton(['start', '--port', '0', '--config', CONFIG], env).url();
  client = new Client({ apiUrl, apiKey: null });
});
afterAll(async () => {
  await chromium?.close();
  await project.remove();
  model?.stop();
  pages?.stop();
  await database?.drop();
});

describe.each(CLIENTS)('useStream of $client over $transport', ({ client: name, transport }) => {
  let context: BrowserContext;
  let page: Page;
  let sockets: number;
  const faults: string[] = [];

  beforeEach(async () => {
    context = await chromium.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(10_000);
    sockets = 0;
    page.on('websocket', () => sockets++);
    page.on('pageerror', (error) => faults.push(String(error)));
    const query = new URLSearchParams({ client: name, transport, api: apiUrl });
    await page.goto(`${pages.url}/?${query.toString()}`);
  });
  afterEach(async () => {
    await context.close();
    if (faults.length > 0) throw new Error(`The page failed: ${faults.splice(0).join(', ')}`);
  });

  const press = (label: string) => page.getByRole('button', { name: label, exact: true }).first().click();
  const write = (text: string) => page.getByLabel('Draft').fill(text);
  const send = async (text: string) => {
    await write(text);
    await press('Send');
  };
  const shows = async (lines: string[], state = 'idle') => {
    const shown = async () => ({
      lines: await page.locator('li > p').allInnerTexts(),
      state: await page.locator('output').innerText(),
    });
    await expect.poll(shown, SOON).toEqual({ lines, state });
  };
  /** SDK 1.11, which `@langchain/react` 1.1 brings, keeps lines that are gone from the state on the page until it is loaded again. */
  const forgetLostLines = async () => {
    if (name !== 'react') return;
    await expect.poll(() => page.locator('output').innerText(), SOON).toBe('idle');
    await page.reload();
  };
  const threadId = () => new URL(page.url()).searchParams.get('thread') ?? '';

  it('shows an answer word by word', async () => {
    const slowly = `slowly ${uuidv7()}`;
    await send(slowly);
    await shows([`human: ${slowly}`, 'ai: You'], 'busy');
    gate(slowly).open();
    await shows([`human: ${slowly}`, `ai: You said: ${slowly}`]);
    expect(sockets > 0).toBe(transport === 'websocket');
  });

  it('forks where a message is edited, and goes back to the branch before', async () => {
    await send('one');
    await shows(['human: one', 'ai: You said: one']);
    await send('more');
    await shows(['human: one', 'ai: You said: one', 'human: more', 'ai: You said: more']);
    await write('two');
    await press('Edit');
    await page.getByText('ai: You said: two').waitFor();
    await forgetLostLines();
    await shows(['human: two', 'ai: You said: two']);
    const first = ['human: one', 'ai: You said: one', 'human: more', 'ai: You said: more'];
    if (name === 'sdk') {
      await press('Branch 1');
      await shows(first);
      await send('back here');
    } else {
      await press('First branch');
      await page.getByText('ai: You said: back here').waitFor();
      await forgetLostLines();
    }
    await shows([...first, 'human: back here', 'ai: You said: back here']);
    expect((await client.threads.getState<{ messages: unknown[] }>(threadId())).values.messages).toHaveLength(6);
  });

  it('asks, and goes on with the answer', async () => {
    await send('ask');
    await page.getByRole('region', { name: 'Question' }).getByText('What do you mean?').waitFor();
    await shows(['human: ask']);
    expect(await client.threads.get(threadId())).toMatchObject({ status: 'interrupted' });
    await write('this');
    await press('Answer');
    await shows(['human: ask', 'human: this', 'ai: You said: this']);
    await page.getByRole('region', { name: 'Question' }).waitFor({ state: 'detached' });
  });

  it('still asks after a reload', async () => {
    await send('ask');
    const question = page.getByRole('region', { name: 'Question' }).getByText('What do you mean?');
    await question.waitFor();
    await page.reload();
    await question.waitFor();
    await write('that');
    await press('Answer');
    await shows(['human: ask', 'human: that', 'ai: You said: that']);
    expect(await client.threads.get(threadId())).toMatchObject({ status: 'idle' });
  });

  it('comes back to a run after a reload in the middle', async () => {
    const slowly = `slowly ${uuidv7()}`;
    const answers = model.answers;
    await send(slowly);
    await shows([`human: ${slowly}`, 'ai: You'], 'busy');
    await page.reload();
    await shows([`human: ${slowly}`, 'ai: You'], 'busy');
    gate(slowly).open();
    await shows([`human: ${slowly}`, `ai: You said: ${slowly}`]);
    expect(model.answers - answers).toBe(1);
    expect(await client.runs.list(threadId())).toMatchObject([{ status: 'success' }]);
  });

  it('stops a run, and the next one goes on from there', async () => {
    const slowly = `slowly ${uuidv7()}`;
    await send(slowly);
    await shows([`human: ${slowly}`, 'ai: You'], 'busy');
    await press('Stop');
    await gate(`left ${slowly}`).pass();
    await expect.poll(async () => (await client.threads.get(threadId())).status, SOON).toBe('idle');
    await send('again');
    await page.getByText('ai: You said: again').waitFor();
    await forgetLostLines();
    await shows([`human: ${slowly}`, 'human: again', 'ai: You said: again']);
    expect(await client.runs.list(threadId())).toMatchObject([{ status: 'success' }, { status: 'interrupted' }]);
  });
});

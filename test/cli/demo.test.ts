import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Document from 'pdfkit';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { TestProject } from './project.ts';

/** Each starts a Postgres, a server and a worker. */
vi.setConfig({ testTimeout: 120_000 });

const CONFIG = fileURLToPath(new URL('../../langgraph.json', import.meta.url));

let project: TestProject;
beforeEach(() => {
  project = new TestProject();
});
afterEach(() => project.remove());

function demo(pdf: string, env: Record<string, string> = {}) {
  return project.baton(['demo', '--once', '--port', '0', '--config', CONFIG, '--pdf', pdf], {
    BATON_DATA_DIR: join(project.dir, '.baton'),
    ...env,
  });
}

test('a document that is no invoice waits for a person in the end, which is no failure, also where a login is needed', async () => {
  const document = new Document();
  document.text('Roses are red, violets are blue: a poem, and no bill at all.').end();
  await once(document.pipe(createWriteStream(join(project.dir, 'poem.pdf'))), 'finish');
  const baton = demo('poem.pdf', { BATON_API_KEYS: createApiKey('somebody', []).entry });
  expect(await baton.exit).toBe(0);
  expect(baton.output).toMatch(/\? the invoice number is missing\n[^]*the run waits for a person/);
  expect(baton.output).not.toMatch(/Error|^ +at |connection was lost/m);
});

test('a file that cannot be read is one line and exit code 1', async () => {
  project.write({ 'broken.pdf': 'no PDF at all' });
  const baton = demo('broken.pdf');
  expect(await baton.exit).toBe(1);
  expect(baton.output).toMatch(/^baton: the run failed: .*broken\.pdf" is not a PDF.*\n$/m);
  expect(baton.output).not.toMatch(/Error|^ +at |connection was lost/m);
});

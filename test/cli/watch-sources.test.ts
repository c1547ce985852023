import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchSources } from '../../src/cli/watch-sources.ts';
import { TestProject } from './project.ts';

let project: TestProject;
let unwatch = (): void => {};
let seen: string[];
let onSeen = (): void => {};

beforeEach(() => {
  project = new TestProject({ 'src/agent.ts': '', 'node_modules/a/index.js': '', '.env': '', 'langgraph.json': '{}' });
  seen = [];
  unwatch = watchSources(project.dir, (file) => {
    seen.push(file);
    onSeen();
  });
});
afterEach(async () => {
  unwatch();
  await project.remove();
});

async function nextChange(): Promise<void> {
  await new Promise<void>((resolve) => {
    onSeen = resolve;
  });
}

test.each(['src/agent.ts', 'src/other.mjs', '.env', 'langgraph.json'])('sees %s', async (file) => {
  project.write({ [file]: 'changed' });
  await nextChange();
  expect(seen).toEqual([file]);
});

test('takes changes that come together as one', async () => {
  project.write({ 'src/a.ts': '', 'src/b.ts': '', 'src/c.ts': '' });
  await nextChange();
  expect(seen).toEqual(['src/c.ts']);
});

test('passes over packages, what Baton keeps, what is built, and files that are no source', async () => {
  mkdirSync(join(project.dir, '.baton'));
  project.write({
    'node_modules/a/index.js': '1',
    '.baton/x.ts': '',
    'dist/x.js': '',
    'data.json': '{}',
    'notes.md': '',
  });
  project.write({ 'src/agent.ts': 'the first that counts' });
  await nextChange();
  expect(seen).toEqual(['src/agent.ts']);
});

test('follows folders that come, go and come back', async () => {
  mkdirSync(join(project.dir, 'src/nodes'));
  await nextChange();
  project.write({ 'src/nodes/one.ts': '' });
  await nextChange();
  rmSync(join(project.dir, 'src/nodes'), { recursive: true });
  await nextChange();
  project.write({ 'draft/nodes/two.ts': '' });
  await nextChange();
  renameSync(join(project.dir, 'draft/nodes'), join(project.dir, 'src/nodes'));
  await nextChange();
  seen.length = 0;
  project.write({ 'src/nodes/two.ts': 'again' });
  await nextChange();
  expect(seen).toEqual(['src/nodes/two.ts']);
});

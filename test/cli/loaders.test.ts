import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { TestProject } from './project.ts';

const LOADERS = new URL('../../bin/loaders.js', import.meta.url).href;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const projects: TestProject[] = [];
afterEach(() => Promise.all(projects.splice(0).map((project) => project.remove())));

/** What a module of a project prints when it is imported after Baton's loaders were put in place. */
async function run(files: Record<string, string>, main: string, prepare = (_dir: string) => {}): Promise<unknown> {
  const project = new TestProject({
    ...files,
    'start.mjs': `import { registerLoaders } from '${LOADERS}'; registerLoaders(import.meta.dirname); await import('${main}');`,
  });
  projects.push(project);
  prepare(project.dir);
  const started = project.node(['start.mjs']);
  if ((await started.exit) !== 0) throw new Error(started.output);
  return JSON.parse(started.output.replaceAll(project.dir, 'PROJECT').replaceAll(ROOT, 'BATON/'));
}

/** A package that says who it is. */
function fake(folder: string, name: string): Record<string, string> {
  const mark = folder || 'project';
  return {
    [join(folder, 'node_modules', name, 'package.json')]: JSON.stringify({
      name,
      type: 'module',
      exports: { '.': { import: './index.js', require: './index.cjs' }, './sub': './index.js' },
    }),
    [join(folder, 'node_modules', name, 'index.js')]: `export const mark = ${JSON.stringify(mark)};`,
    [join(folder, 'node_modules', name, 'index.cjs')]: `exports.mark = ${JSON.stringify(`${mark}, by require`)};`,
  };
}

describe('one copy of LangGraph in a process', () => {
  test("is the project's, for whoever imports it", async () => {
    const files = {
      ...fake('', '@langchain/langgraph'),
      ...fake('elsewhere', '@langchain/langgraph'),
      'elsewhere/module.mjs': `
        import { createRequire } from 'node:module';
        import { mark } from '@langchain/langgraph';
        import { mark as sub } from '@langchain/langgraph/sub';
        console.log(JSON.stringify([mark, sub, createRequire(import.meta.url)('@langchain/langgraph').mark]));`,
    };
    expect(await run(files, './elsewhere/module.mjs')).toEqual(['project', 'project', 'project, by require']);
  });

  test("is Baton's when the project has none", async () => {
    const files = {
      ...fake('elsewhere', '@langchain/langgraph'),
      'elsewhere/module.mjs': `
        console.log(JSON.stringify([import.meta.resolve('@langchain/langgraph'), import.meta.resolve('@langchain/core/messages')]));`,
    };
    expect(await run(files, './elsewhere/module.mjs')).toEqual([
      expect.stringMatching('^file://BATON/node_modules/@langchain/langgraph/'),
      expect.stringMatching('^file://BATON/node_modules/@langchain/core/'),
    ]);
  });

  test("of a strict package manager's project is what its LangGraph sees", async () => {
    const files = {
      ...fake('store', '@langchain/langgraph'),
      ...fake('store', '@langchain/core'),
      'module.mjs': `import { mark } from '@langchain/core'; console.log(JSON.stringify(mark));`,
    };
    const link = (dir: string): void => {
      mkdirSync(join(dir, 'node_modules/@langchain'), { recursive: true });
      const langgraph = 'node_modules/@langchain/langgraph';
      symlinkSync(join(dir, 'store', langgraph), join(dir, langgraph), 'junction');
    };
    expect(await run(files, './module.mjs', link)).toBe('store');
  });

  test('is imported, not required, by TypeScript that does not say which it wants', async () => {
    const files = {
      ...fake('', '@langchain/langgraph'),
      'undecided.ts': `import { mark } from '@langchain/langgraph'; import { other } from './other'; export const marks: string[] = [mark, ...other];`,
      'other.ts': `import { mark } from '@langchain/langgraph'; export const other: string[] = [mark, __dirname, __filename];`,
      'decided.cts': `import { mark } from '@langchain/langgraph'; export const decided: string = mark;`,
      'module.mjs': `
        import { marks } from './undecided.ts';
        import { decided } from './decided.cts';
        console.log(JSON.stringify([marks, decided]));`,
    };
    expect(await run(files, './module.mjs')).toEqual([
      ['project', 'project, by require', 'PROJECT', 'PROJECT/other.ts'],
      'project, by require',
    ]);
  });
});

describe('a project of its own', () => {
  test('gets the running Baton as batonjs', async () => {
    const files = {
      'module.mjs': `
        import { createRequire } from 'node:module';
        console.log(JSON.stringify([import.meta.resolve('batonjs/sdk'), createRequire(import.meta.url).resolve('batonjs')]));`,
    };
    expect(await run(files, './module.mjs')).toEqual(['file://BATON/src/sdk/index.ts', 'BATON/src/index.ts']);
  });

  test("has its tsconfig's paths", async () => {
    const files = {
      'tsconfig.json': JSON.stringify({ compilerOptions: { paths: { '@app/*': ['./lib/*'] } } }),
      'package.json': '{"type":"module"}',
      'lib/answer.ts': 'export const answer: number = 42;',
      'src/main.ts': `import { answer } from '@app/answer'; console.log(JSON.stringify(answer));`,
    };
    expect(await run(files, './src/main.ts')).toBe(42);
  });

  test('has packages whose modules are of either kind', async () => {
    const files = {
      'node_modules/both/package.json': JSON.stringify({ type: 'module', exports: './index.js' }),
      'node_modules/both/index.js': `import cjs from './cjs/old.js'; import { esm } from './new.mjs'; export const both = [cjs.old, esm];`,
      'node_modules/both/new.mjs': `export const esm = 'module';`,
      'node_modules/both/cjs/package.json': '{"type":"commonjs"}',
      'node_modules/both/cjs/old.js': `exports.old = 'commonjs';`,
      'module.mjs': `import { both } from 'both'; console.log(JSON.stringify(both));`,
    };
    expect(await run(files, './module.mjs')).toEqual(['commonjs', 'module']);
  });
});

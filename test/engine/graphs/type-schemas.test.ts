import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { GraphRegistry } from '../../../src/engine/graphs/registry.ts';
import { TypeSchemas, type TypeSchemasOptions } from '../../../src/engine/graphs/types/type-schemas.ts';
import { testServer } from '../../sdk/fixtures/test-server.ts';

/** A compiler is started in most of them: seconds, and more where others work. */
vi.setConfig({ testTimeout: 120_000 });

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const typedFile = fileURLToPath(new URL('fixtures/typed-graphs.ts', import.meta.url));
const sourceIn = (file: string, exportName: string) => ({ file, exportName, description: null });

let folder: string;
const opened: TypeSchemas[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-types-'));
});
afterAll(async () => {
  await Promise.all(opened.map((types) => types.stop()));
  await rm(folder, { recursive: true, force: true });
});

/** A project of its own whose graph is as much of one as types can see. */
class Project {
  readonly dir: string;
  readonly said: string[] = [];

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async open(files: Record<string, string>, { compiler = true } = {}): Promise<Project> {
    const project = new Project(await mkdtemp(join(folder, 'project-')));
    // The declarations of browsers would only take time.
    await project.write({ 'tsconfig.json': '{ "compilerOptions": { "lib": ["es5"], "types": [] } }', ...files });
    if (compiler) await symlink(join(ROOT, 'node_modules'), join(project.dir, 'node_modules'));
    return project;
  }

  async write(files: Record<string, string>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(this.dir, name)), { recursive: true });
      await writeFile(join(this.dir, name), text);
    }
  }

  /** What a process that starts now knows. */
  types(options: Partial<TypeSchemasOptions> = {}): TypeSchemas {
    const log = pino({ level: 'info' }, { write: (line: string) => void this.said.push(line) });
    const types = new TypeSchemas({ projectDir: this.dir, dataDir: join(this.dir, '.baton'), log, ...options });
    opened.push(types);
    return types;
  }

  source(file = 'graph.ts') {
    return sourceIn(join(this.dir, file), 'graph');
  }
}

const graphOf = (state: string) =>
  `export const graph = null as unknown as { '~InputType': ${state}; '~OutputType': ${state} };`;
const object = (properties: object, required?: string[]) => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  properties,
  ...(required && { required }),
});

const ticket = { $ref: '#/definitions/Ticket' };
const messages = { type: 'array', items: { $ref: '#/definitions/BaseMessage' }, langgraph_type: 'messages' };
const definitions = {
  Ticket: {
    type: 'object',
    properties: {
      title: { type: 'string' },
      opened: { type: 'string', format: 'date-time' },
      reporter: { $ref: '#/definitions/Person' },
      watchers: { type: 'array', items: { $ref: '#/definitions/Person' } },
      weight: { anyOf: [{ type: 'number' }, { type: 'null' }] },
    },
    required: ['title', 'opened', 'reporter', 'watchers', 'weight'],
  },
  Person: {
    type: 'object',
    properties: {
      name: { type: 'string' },
      deputy: { $ref: '#/definitions/Person', description: 'Of whom to ask when this one is away.' },
    },
    required: ['name'],
  },
};

describe('a graph whose state only TypeScript knows', () => {
  test('has its schemas, from its builder, itself, or a factory of it, over HTTP', async () => {
    const names = ['builder', 'typed', 'factory', 'chat'];
    const graphs = Object.fromEntries(names.map((name) => [name, sourceIn(typedFile, name)]));
    const settings = { projectDir: ROOT, dataDir: join(folder, 'served') };
    // As an earlier process would have: nobody is kept waiting for longer than a busy machine may take.
    await new GraphRegistry(graphs, (await Project.open({})).types(settings)).readTypes();
    const server = await testServer({ stateUrl: 'memory:', worker: false, settings, graphs });
    try {
      const schemas = await server.client.assistants.getSchemas('typed');
      const context = {
        properties: { model: { type: 'string', enum: ['small', 'large'] }, retries: { type: 'number' } },
        required: ['model'],
      };
      expect(schemas).toMatchObject({
        graph_id: 'typed',
        input_schema: { ...object({ ticket, note: { type: 'string' } }), definitions },
        output_schema: object({ messages }, ['messages']),
        config_schema: context,
        context_schema: context,
      });
      expect(schemas.state_schema).toEqual({
        ...object(
          {
            messages,
            ticket,
            priority: { type: 'string', enum: ['low', 'high'] },
            notes: { type: 'array', items: { type: 'string' } },
            scores: { type: 'object', additionalProperties: { type: 'number' } },
            place: { type: 'array', items: [{ type: 'number' }, { type: 'number' }], minItems: 2, maxItems: 2 },
            solved: { type: 'boolean' },
            owner: { anyOf: [{ type: 'string' }, { type: 'null' }] },
            raw: {},
          },
          expect.arrayContaining(['messages', 'ticket', 'priority', 'notes', 'scores', 'place', 'owner']),
        ),
        definitions: { ...definitions, BaseMessage: expect.objectContaining({ type: 'object' }) },
      });
      for (const name of ['builder', 'factory']) {
        expect(await server.client.assistants.getSchemas(name)).toEqual({ ...schemas, graph_id: name });
      }
      // What is written to messages may be much; a person is asked for messages.
      expect(await server.client.assistants.getSchemas('chat')).toMatchObject({ input_schema: object({ messages }) });
    } finally {
      await server.stop();
    }
  });

  test('has them from disk in the next process, until a file that they come from changes', async () => {
    const project = await Project.open({
      'src/graph.ts': `import type { Name } from './name.ts'; ${graphOf('{ name: Name }')}`,
      'src/name.ts': 'export type Name = string;',
      'tsconfig.json': '{ "extends": "./base.json" }',
      'base.json': '{ "compilerOptions": { "lib": ["es5"], "types": [] } }',
    });
    const source = project.source('src/graph.ts');
    const nameOf = async (types: TypeSchemas) => (await types.read(source)).state_schema?.['properties'];
    expect(await nameOf(project.types())).toEqual({ name: { type: 'string' } });
    // Without a compiler nothing can be read.
    expect(await nameOf(project.types({ projectDir: '/' }))).toEqual({ name: { type: 'string' } });
    await project.write({ 'src/name.ts': 'export type Name = number;' });
    expect(await nameOf(project.types({ projectDir: '/' }))).toBeUndefined();
    expect(await nameOf(project.types())).toEqual({ name: { type: 'number' } });
    await project.write({ 'base.json': '{ "compilerOptions": { "lib": ["es2023"] } }' });
    expect(await nameOf(project.types({ projectDir: '/' }))).toBeUndefined();
  });

  test('has what can be read where the file has mistakes, and all of it once they are mended', async () => {
    const project = await Project.open({
      'graph.ts': `import type { Later } from './later.ts'; const n: number = 'no'; ${graphOf('{ a: Later; b: string }')}`,
    });
    const properties = async () => (await project.types().read(project.source())).input_schema?.['properties'];
    expect(await properties()).toEqual({ a: {}, b: { type: 'string' } });
    await project.write({ 'later.ts': 'export type Later = boolean;' });
    expect(await properties()).toEqual({ a: { type: 'boolean' }, b: { type: 'string' } });
    await project.write({ 'graph.ts': 'export const graph = {{{' });
    expect(await properties()).toBeUndefined();
  });

  test('does not hang on types that unfold for ever', async () => {
    const project = await Project.open({
      'graph.ts': `interface Deep<T> { value: T; next?: Deep<T[]> } ${graphOf('{ deep: Deep<string> }')}`,
    });
    expect(await project.types().read(project.source())).toMatchObject({
      state_schema: { properties: { deep: { $ref: '#/definitions/Deep_string' } } },
    });
  });
});

describe('the schemas are open', () => {
  test('while they are read for too long, and right afterwards', async () => {
    const project = await Project.open({ 'graph.ts': graphOf('{ name: string }') });
    const types = project.types({ waitMs: 0 });
    expect(await types.of(project.source())).toEqual({});
    await types.read(project.source());
    expect(await types.of(project.source())).toMatchObject({ state_schema: { required: ['name'] } });
  });

  test.each([
    ['needs more memory than there is', { heapMb: 8 }, /memory/],
    ['takes longer than it may', { limitMs: 1 }, /more than 0.001 s/],
  ])('when reading %s, and another process tries again', async (_, options, reason) => {
    const project = await Project.open({ 'graph.ts': graphOf('{ name: string }') });
    const types = project.types(options);
    expect(await types.read(project.source())).toEqual({});
    expect(project.said.join('')).toMatch(reason);
    expect(await project.types().read(project.source())).toMatchObject({ state_schema: { required: ['name'] } });
  });

  test('in a project without types, and without a compiler, which is said', async () => {
    const project = await Project.open({ 'graph.ts': graphOf('{}'), 'graph.js': '' }, { compiler: false });
    expect(await project.types().of(project.source('graph.js'))).toEqual({});
    expect(project.said).toEqual([]);
    expect(await project.types().of(project.source())).toEqual({});
    expect(project.said.join('')).toMatch(/add typescript/);
  });

  test('when the server stops meanwhile', async () => {
    const project = await Project.open({ 'graph.ts': graphOf('{ name: string }') });
    const types = project.types();
    const reading = types.of(project.source());
    const next = types.of({ ...project.source(), exportName: 'other' });
    await types.stop();
    expect(await Promise.all([reading, next])).toEqual([{}, {}]);
    expect(project.said).toEqual([]);
  });
});

test('processes that read at the same time do not disturb each other', async () => {
  const project = await Project.open({ 'graph.ts': graphOf('{ name: string }') });
  const answers = await Promise.all([project.types(), project.types()].map((types) => types.read(project.source())));
  expect(answers[0]).toEqual(answers[1]);
  expect(await project.types({ projectDir: '/' }).read(project.source())).toEqual(answers[0]);
  expect(await readdir(join(project.dir, '.baton/schemas'))).toHaveLength(1);
});

test('what a graph declares by zod is known without reading types', async () => {
  const file = fileURLToPath(new URL('fixtures/zod-graph.ts', import.meta.url));
  const project = await Project.open({});
  const types = project.types();
  const graphs = new GraphRegistry({ zod: sourceIn(file, 'zodGraph'), typed: sourceIn(typedFile, 'missing') }, types);
  expect(await graphs.schemas('zod')).toMatchObject({ state_schema: { properties: { count: { type: 'number' } } } });
  await graphs.readTypes();
  expect((await readdir(project.dir)).sort()).toEqual(['node_modules', 'tsconfig.json']);
});

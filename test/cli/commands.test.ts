import { createServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiKeys } from '../../src/auth/api-keys.ts';
import { encryptionSettings } from '../../src/config/encryption-settings.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import type { ApiKey } from '../../src/core/caller.ts';
import { TestProject } from './project.ts';

let project = new TestProject();
afterEach(async () => {
  await project.remove();
  project = new TestProject();
});

const LANGGRAPH_JSON = { 'langgraph.json': '{"graphs":{"agent":"./agent.ts:graph"}}' };

describe('baton', () => {
  test.each([['--help'], ['help'], ['dev', '--help']])('%s %s names every command and option', async (...args) => {
    const baton = project.baton(args);
    expect(await baton.exit).toBe(0);
    for (const word of [
      'dev',
      'start',
      'worker',
      'key',
      'migrate',
      '--config',
      '--port',
      '--host',
      '--insecure',
      '--workers',
    ]) {
      expect(baton.output).toContain(word);
    }
    expect(baton.output).not.toContain('dev-server');
  });

  test('--version is the version of the package', async () => {
    const baton = project.baton(['--version']);
    expect(await baton.exit).toBe(0);
    expect(baton.output).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('baton key', () => {
  test('makes a key that the server takes, and is not told of', async () => {
    const baton = project.baton(['key', '--name', 'ci', '--scope', 'read']);
    expect(await baton.exit).toBe(0);
    const [, key = '', entry = ''] = /bearer: +(\S+)\n.*BATON_API_KEYS: +(\S+)\n$/.exec(baton.output) ?? [];
    expect(key).toMatch(/^baton_[\w-]{43}$/);
    expect(entry).not.toContain(key);
    const [known] = parseApiKeys(entry);
    expect(known).toMatchObject({ name: 'ci', scopes: ['read'] });
    expect(new ApiKeys([known as ApiKey]).find({ 'x-api-key': key })).toBe(known);
  });
});

describe('baton key --encryption', () => {
  test('makes a key that encrypted stores take', async () => {
    const baton = project.baton(['key', '--encryption', '--name', '2026']);
    expect(await baton.exit).toBe(0);
    const [, entry = ''] = /(\S+)\n$/.exec(baton.output) ?? [];
    const { keys } = encryptionSettings({ keys: entry, clearMetadata: undefined, exportOf: () => expect.fail() });
    expect(keys).toEqual([{ id: '2026', secret: expect.stringMatching(/^.{44}$/) as string }]);
  });
});

describe('a mistake is told in one line, and the exit code is 1', () => {
  test.each([
    [['frob'], /^baton: there is no command "frob"\. See baton --help\n$/],
    [['dev', '--prot', '1'], /^baton: Unknown option '--prot'\. See baton --help\n$/],
    [['key', '--scope', 'root'], /^baton: --scope must be one of read, write, admin, not "root"\n$/],
    [['key', '--name', 'a:b'], /^baton: --name "a:b" must be of letters, digits, and \. _ - @\n$/],
    [['start', '--port', 'x'], /^baton: --port must be a whole number from 0 to 65535, not "x"\n$/],
    [
      ['dev'],
      /^baton: No langgraph\.json at .*: run baton in the folder that has it, or name it with --config PATH\n$/,
    ],
    [['start', '--config', 'a/b.json'], /^baton: No langgraph\.json at .*b\.json: .*\n$/],
  ])('%j', async (args, line) => {
    const baton = project.baton(args);
    expect(await baton.exit).toBe(1);
    expect(baton.output).toMatch(line);
  });

  test.each(['dev', 'start'])('%s on an address that others can reach', async (command) => {
    project.write(LANGGRAPH_JSON);
    const baton = project.baton([command, '--host', '0.0.0.0']);
    expect(await baton.exit).toBe(1);
    expect(baton.output).toMatch(/^baton: Refusing to listen on 0\.0\.0\.0: .*--insecure\n$/);
  });

  test.each(['dev', 'start'])('%s on a port that is taken', async (command) => {
    project.write(LANGGRAPH_JSON);
    const other = createServer();
    await new Promise<void>((resolve) => {
      other.listen(0, '127.0.0.1', resolve);
    });
    const { port } = other.address() as AddressInfo;
    const baton = project.baton([command, '--port', String(port)]);
    expect(await baton.exit).toBe(1);
    expect(baton.output).toBe(
      `baton: cannot listen on 127.0.0.1:${port}: something else listens there. Stop it, or choose another port with --port\n`,
    );
    other.close();
  });
});

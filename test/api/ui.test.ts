import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createApiKey } from '../../src/auth/api-keys.ts';
import { parseApiKeys } from '../../src/config/api-keys.ts';
import { call } from '../sdk/fixtures/call.ts';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

const projectDir = mkdtempSync(join(tmpdir(), 'baton-ui-'));
const FILES = {
  'components.jsx': `import { useState } from 'react';
    import './components.css';
    function Weather({ city }) {
      const [open, setOpen] = useState(false);
      return <button onClick={() => setOpen(!open)}>{open ? 'sunny' : city}</button>;
    }
    export default { weather: Weather };`,
  'components.css': '.weather { color: teal }',
  'broken.js': "export { missing as default } from './nowhere';",
};
const sourceOf = (file: string) => ({ file: `${projectDir}/${file}`, projectDir, shared: [] });
const { key, entry } = createApiKey('me', []);
const login = { 'x-api-key': key };

let server: TestServer;
beforeAll(async () => {
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(projectDir, name), text);
  server = await testServer({
    stateUrl: 'memory:',
    worker: false,
    auth: { apiKeys: parseApiKeys(entry) },
    ui: { 'my-agent': sourceOf('components.jsx'), broken: sourceOf('broken.js') },
  });
});
afterAll(async () => {
  await server.stop();
  rmSync(projectDir, { recursive: true });
});

async function file(name: string) {
  return call(`${server.url}/ui/my-agent/${name}`, 'GET');
}

it('a component is loaded by a snippet of HTML, with whole addresses', async () => {
  const { text, headers } = await call(`${server.url}/ui/my-agent`, 'POST', { name: 'weather' }, login);
  expect(headers.get('content-type')).toContain('text/html');
  const [style, script] = text.split('\n');
  expect(style).toBe(`<link rel="stylesheet" href="${server.url}/ui/my-agent/entrypoint.css" />`);
  expect(script).toBe(
    `<script src="${server.url}/ui/my-agent/entrypoint.js" onload="__LGUI_my_agent.render(&quot;weather&quot;, &quot;{{shadowRootId}}&quot;)"></script>`,
  );
  const odd = await call(`${server.url}/ui/my-agent`, 'POST', { name: `'"><script>` }, login);
  expect(odd.text).not.toContain('><script>"');
  expect(odd.text.match(/<script/g)).toHaveLength(1);
});

it('its files are there for everybody, as a page asks for them', async () => {
  const style = await file('entrypoint.css');
  expect(style).toMatchObject({ status: 200, text: expect.stringContaining('.weather') });
  expect(style.headers.get('content-type')).toContain('text/css');
  expect((await file('entrypoint.js')).headers.get('content-type')).toContain('javascript');
  for (const name of ['other.js', '..%2f..%2fpackage.json', 'components.jsx']) {
    expect(await file(name)).toMatchObject({ status: 404 });
  }
});

it('its files are there for everybody behind an app of the project, too', async () => {
  const app = { file: fileURLToPath(new URL('../http/fixtures/apps.ts', import.meta.url)), exportName: 'hono' };
  const behind = await testServer({
    stateUrl: 'memory:',
    worker: false,
    auth: { apiKeys: parseApiKeys(entry) },
    http: { app },
    ui: { 'my-agent': sourceOf('components.jsx') },
  });
  expect(await call(`${behind.url}/ui/my-agent/entrypoint.css`, 'GET')).toMatchObject({ status: 200 });
  const others = [
    'POST /ui/my-agent/entrypoint.css',
    'GET /ui/my-agent/a/b',
    'GET /threads/%2e%2e/x',
    'GET /ui/my-agent//',
  ];
  for (const other of others) {
    const [method = '', path = ''] = other.split(' ');
    expect({ other, ...(await call(behind.url + path, method)) }).toMatchObject({ other, status: 401 });
  }
  await behind.stop();
});

it('the script hands the component over to the page, which brings React along', async () => {
  const { text } = await file('entrypoint.js');
  const handedOver: unknown[] = [];
  const appended: unknown[] = [];
  const target = { tag: 'div' };
  const page: Record<string | symbol, unknown> = {
    document: {
      createElement: () => target,
      getElementById: (id: string) => ({ shadowRoot: { appendChild: (child: unknown) => appended.push([id, child]) } }),
    },
    [Symbol.for('LGUI_REQUIRE')]: (): unknown => ({ jsx: () => null, jsxs: () => null, useState: () => [] }),
    [Symbol.for('LGUI_EXT_STORE')]: { respond: (...args: unknown[]) => handedOver.push(args) },
  };
  page['window'] = page;
  runInNewContext(`${text}; __LGUI_my_agent.render('weather', 'root-1')`, page);
  expect(appended).toEqual([['root-1', target]]);
  expect(handedOver).toEqual([['root-1', expect.any(Function), target]]);
});

it('asks for a login, and tells what is missing or wrong', async () => {
  expect(await call(`${server.url}/ui/my-agent`, 'POST', { name: 'weather' })).toMatchObject({ status: 401 });
  expect(await call(`${server.url}/ui/nobody`, 'POST', { name: 'x' }, login)).toMatchObject({ status: 404 });
  expect(await call(`${server.url}/ui/constructor`, 'POST', { name: 'x' }, login)).toMatchObject({ status: 404 });
  expect(await call(`${server.url}/ui/broken`, 'POST', { name: 'x' }, login)).toMatchObject({
    status: 422,
    text: expect.stringMatching(/UI of "broken" cannot be built.*Could not resolve "\.\/nowhere"/s),
  });
});

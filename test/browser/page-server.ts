import { build } from 'esbuild';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('page/main.tsx', import.meta.url));
const HTML =
  '<!doctype html><meta charset="utf-8"><title>Chat</title><body><script type="module" src="/main.js"></script>';

/** Serves the page with the chats, from an origin of its own. */
export async function servePage(): Promise<{ url: string; stop(): void }> {
  const { outputFiles } = await build({
    entryPoints: [MAIN],
    bundle: true,
    minify: true,
    format: 'esm',
    jsx: 'automatic',
    write: false,
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const script = outputFiles[0]?.contents;
  const server: Server = createServer((req, res) => {
    const isScript = req.url === '/main.js';
    res.setHeader('content-type', isScript ? 'text/javascript' : 'text/html').end(isScript ? script : HTML);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

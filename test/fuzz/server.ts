import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { testServer, type TestServer } from '../sdk/fixtures/test-server.ts';

const ERROR = 50;
const fileOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** A project's own login, and its own app in front of everything. */
const GUARDED = {
  auth: { project: { file: fileOf('../api/fixtures/auth.ts'), exportName: 'auth' } },
  http: { app: { file: fileOf('../http/fixtures/apps.ts'), exportName: 'hono' } },
};

export interface FuzzServer extends TestServer {
  /** What every request needs. */
  headers: Record<string, string>;
  /** All that the server had to say of faults of its own. */
  complaints: string[];
}

/** A server to be fuzzed: plain, or with a project's own code around the API. */
export async function fuzzServer(kind: 'plain' | 'guarded'): Promise<FuzzServer> {
  const complaints: string[] = [];
  const lines = new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      if ((JSON.parse(line) as { level: number }).level >= ERROR) complaints.push(line);
      done();
    },
  });
  const log = pino({ level: 'error' }, lines);
  const server = await testServer({ stateUrl: 'memory:', log, ...(kind === 'guarded' && GUARDED) });
  const headers: Record<string, string> = kind === 'guarded' ? { authorization: 'Bearer alice' } : {};
  return { ...server, headers, complaints };
}

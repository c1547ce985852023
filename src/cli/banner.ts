import { relative } from 'node:path';
import type { BatonConfig } from '../config/config.ts';
import { version } from './version.ts';

/** What a server says about itself when it is ready. */
export interface Ready {
  url: string | null;
  database: { origin: 'embedded' | 'system' | 'given'; address: string };
}

export function banner(config: BatonConfig, { url, database }: Ready): string {
  const lines = [
    ['API', url],
    ['Docs', url && `${url}/docs`],
    ['Database', describeDatabase(database)],
    ['State', describeState(config.stateUrl)],
    ['Graphs', Object.keys(config.graphs).join(', ')],
  ];
  const shown = lines.filter(([, value]) => value).map(([name, value]) => `  ${name?.padEnd(10)}${value}`);
  return `\nBaton ${version()} is ready (${Math.round(performance.now())} ms)\n\n${shown.join('\n')}\n`;
}

function describeDatabase({ origin, address }: Ready['database']): string {
  if (origin === 'given') return `Postgres at ${address}`;
  const folder = relative(process.cwd(), address) || '.';
  return `${origin === 'embedded' ? "Baton's own Postgres" : "the system's Postgres, started by Baton"}, in ${folder}`;
}

/** Without the user and password that the address may hold. */
function describeState(stateUrl: string | null): string {
  if (stateUrl === null) return 'in the same database';
  const { protocol, host, pathname } = new URL(stateUrl);
  if (protocol === 'memory:') return 'in memory: it is lost when Baton stops';
  return host ? `${protocol}//${host}${pathname}` : `${protocol}${pathname}`;
}

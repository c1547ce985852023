import { relative } from 'node:path';
import type { BatonConfig } from '../config/config.ts';
import { isMemory, shownStateUrl } from '../core/state-url.ts';
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
    ['State', describeState(config)],
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

/** Without the user and password that an address may hold. */
function describeState({ stateUrl, graphs }: BatonConfig): string {
  const own = Object.entries(graphs).flatMap(([id, { state }]) =>
    state ? [`; of ${id} ${describeStore(state)}`] : [],
  );
  return (stateUrl === null ? 'in the same database' : describeStore(stateUrl)) + own.join('');
}

function describeStore(url: string): string {
  return isMemory(url) ? 'in memory: it is lost when Baton stops' : shownStateUrl(url);
}

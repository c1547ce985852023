import { type BatonConfig, loadConfig } from '../config/config.ts';
import { withIdleServer } from './idle-server.ts';
import { createLogger } from './logger.ts';
import type { KeyRing } from '../core/key-ring.ts';
import type { CliOptions } from './options.ts';

/** Wraps the keys of all threads by the first of BATON_KEYS, or only tells which of them wraps how many. What they seal stays as it is. */
export async function rotateKeys({ dryRun, ...options }: CliOptions): Promise<void> {
  const flags = { ...options.flags, host: '127.0.0.1' };
  const config = loadConfig({ configPath: options.configPath, flags, warn: console.error });
  if (config.databaseUrl !== null) return rotate(config, config.databaseUrl, dryRun);
  await withIdleServer(options, ({ databaseUrl }) => rotate(config, databaseUrl, dryRun));
}

async function rotate({ encryption, logLevel }: BatonConfig, url: string, dryRun: boolean): Promise<void> {
  const { openKeyRing } = await import('../open-encryption.ts');
  const { openKeys } = await import('../database/sealing/open-keys.ts');
  const ring = await openKeyRing(encryption);
  const opened = await openKeys({ url, log: createLogger(logLevel), ring });
  try {
    if (dryRun) return tellOf(ring, await opened.keys.wrappedBy());
    console.log(
      `Keys that were wrapped anew by "${ring.writes}": ${await opened.keys.rotate()}. The others of BATON_KEYS can go`,
    );
  } finally {
    await opened.close();
  }
}

function tellOf({ ids, writes }: Pick<KeyRing, 'ids' | 'writes'>, wrappedBy: ReadonlyMap<string, number>): void {
  for (const id of new Set([...ids, ...wrappedBy.keys()])) {
    const count = wrappedBy.get(id) ?? 0;
    const known = ids.includes(id) ? '' : ', and BATON_KEYS has it not: put it back';
    const may = id === writes ? ', and wraps all new ones' : count === 0 ? ': it can go from BATON_KEYS' : known;
    console.log(`"${id}" wraps ${count} keys${may}`);
  }
}

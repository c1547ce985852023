import { loadConfig } from '../config/config.ts';
import { InvalidInputError } from '../core/errors.ts';
import { createLogger } from './logger.ts';
import type { CliOptions } from './options.ts';

/** Wraps the keys of all threads by the first of BATON_KEYS. What they seal stays as it is. */
export async function rotateKeys({ configPath, flags }: CliOptions): Promise<void> {
  const config = loadConfig({ configPath, flags: { ...flags, host: '127.0.0.1' }, warn: console.error });
  if (config.databaseUrl === null) throw new InvalidInputError('Set DATABASE_URL: the keys are in the control plane');
  const { openKeyRing } = await import('../open-encryption.ts');
  const { openKeys } = await import('../database/sealing/open-keys.ts');
  const ring = await openKeyRing(config.encryption);
  const opened = await openKeys({ url: config.databaseUrl, log: createLogger(config.logLevel), ring });
  try {
    console.log(
      `Keys that were wrapped anew by "${ring.writes}": ${await opened.keys.rotate()}. The others of BATON_KEYS can go`,
    );
  } finally {
    await opened.close();
  }
}

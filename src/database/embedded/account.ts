import { chownSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ServiceError } from '../../core/errors.ts';

/** The operating system's user that Postgres runs as. */
export interface Account {
  uid: number;
  gid: number;
}

/**
 * Postgres refuses to run as root. Then it runs as whoever owns the cluster (a person's own, after `sudo`), else as `nobody`;
 * no user is created. `undefined`: as the user of this process.
 */
export function serverAccount(clusterDir: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = statSync(clusterDir, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('nobody:'));
  const [, , uid, gid] = entry?.split(':') ?? [];
  if (uid === undefined || gid === undefined) {
    throw new ServiceError(
      'unavailable',
      'Postgres cannot run as root and there is no user "nobody": run as another user, or set DATABASE_URL',
    );
  }
  return { uid: Number(uid), gid: Number(gid) };
}

/** The first directory on the way to `path`, or `path` itself, that the account may not pass through; `undefined` when the way is free. */
export function obstacle(path: string, account: Account | undefined): string | undefined {
  if (account === undefined) return undefined;
  const parent = dirname(path);
  const above = parent === path ? undefined : obstacle(parent, account);
  if (above !== undefined) return above;
  const { uid, gid, mode } = statSync(path);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  return (mode & bit) === 0 ? path : undefined;
}

export function giveTo(account: Account | undefined, path: string): void {
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}

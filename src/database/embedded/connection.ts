import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { ServiceError } from '../../core/errors.ts';
import { giveTo } from './account.ts';
import type { Home } from './home.ts';

/**
 * How clients reach the server. On Unix: a socket in a directory of mode 0700, no TCP, and `peer` authentication, by which the kernel says
 * who connects; so there is no password to keep, and other users of the machine stay out. On Windows (never tested): TCP on 127.0.0.1 with a
 * password in a file beside the cluster.
 */
const WINDOWS = process.platform === 'win32';
const UNIX_PORT = 5432; // only a part of the socket's name
/** `sun_path` holds 108 bytes on Linux and 104 on macOS, with a NUL at the end. */
const MAX_SOCKET_PATH_BYTES = 103;
const SHORT_SOCKET_PREFIX = '/tmp/baton-socket-';

export interface Listening {
  port: number;
  /** Empty on Windows. */
  socketDir: string;
}

/** Who may connect, as the two files of a cluster say it. The database's user is always `baton`. */
export function accessFiles(): { 'pg_hba.conf': string; 'pg_ident.conf': string } {
  if (WINDOWS) return { 'pg_hba.conf': 'host all all 127.0.0.1/32 scram-sha-256\n', 'pg_ident.conf': '' };
  const users = [...new Set(['root', systemUser()])];
  return {
    'pg_hba.conf': 'local all all peer map=baton\n',
    'pg_ident.conf': users.map((user) => `baton "${user}" baton\n`).join(''),
  };
}

/** Options for initdb. */
export function passwordOptions(home: Home): string[] {
  if (!WINDOWS) return [];
  writeFileSync(passwordFile(home), randomBytes(24).toString('hex'), { mode: 0o600 });
  return [`--pwfile=${passwordFile(home)}`];
}

export async function chooseListening(home: Home): Promise<Listening> {
  if (WINDOWS) return { port: await freePort(), socketDir: '' };
  const path = join(home.data, `.s.PGSQL.${UNIX_PORT}`);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { port: UNIX_PORT, socketDir: home.data };
  const socketDir = mkdtempSync(SHORT_SOCKET_PREFIX);
  giveTo(home.account, socketDir);
  return { port: UNIX_PORT, socketDir };
}

export function listenSettings({ socketDir }: Listening): Record<string, string> {
  if (WINDOWS) return { listen_addresses: '127.0.0.1' };
  return { listen_addresses: '', unix_socket_directories: socketDir, unix_socket_permissions: '0700' };
}

/** Once a server has ended: removes what `chooseListening` made, and a socket's lock whose pid another process may have by now. */
export function forgetListening({ port, socketDir }: Listening): void {
  if (socketDir.startsWith(SHORT_SOCKET_PREFIX)) rmSync(socketDir, { recursive: true, force: true });
  else if (socketDir !== '') rmSync(join(socketDir, `.s.PGSQL.${port}.lock`), { force: true });
}

/** In the form that `pg` understands. */
export function urlOf(home: Home, { port, socketDir }: Listening): string {
  if (!WINDOWS) return `postgres://baton@localhost/baton?host=${encodeURIComponent(socketDir)}`;
  return `postgres://baton:${readFileSync(passwordFile(home), 'utf8')}@127.0.0.1:${port}/baton`;
}

function passwordFile(home: Home): string {
  return join(home.directory, 'password');
}

function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    throw new ServiceError(
      'unavailable',
      `Postgres needs a name for user ${process.getuid?.()}, which /etc/passwd lacks: add an entry, run as another user, or set DATABASE_URL`,
    );
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no TCP port');
  return address.port;
}

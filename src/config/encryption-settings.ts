import { InvalidInputError } from '../core/errors.ts';
import type { ExportSource } from '../core/project-export.ts';

/** What wraps the keys of threads. The first of a list wraps new ones, all of them unwrap. */
type KeySource = { id: string; /** 32 bytes in base64. */ secret: string } | ExportSource;

export interface EncryptionSettings {
  keys: KeySource[];
  /** Keys of metadata that stand in clear, besides those that Baton itself needs: what searches and authorisation ask for. */
  clearMetadata: string[];
}

interface EncryptionSources {
  keys: string | undefined;
  clearMetadata: string | undefined;
  /** From `./file.ts:export` to where that is. */
  exportOf: (path: string) => ExportSource;
}

/** @throws InvalidInputError that repeats nothing of an entry but its number: it holds a key. */
export function encryptionSettings({ keys, clearMetadata, exportOf }: EncryptionSources): EncryptionSettings {
  const entries = listed(keys).map((entry, index) => keySource(entry, index + 1, exportOf));
  const ids = entries.flatMap((entry) => ('id' in entry ? entry.id : []));
  if (new Set(ids).size < ids.length) throw new InvalidInputError('BATON_KEYS has two keys of one id: rename one');
  return { keys: entries, clearMetadata: listed(clearMetadata) };
}

function keySource(entry: string, number: number, exportOf: EncryptionSources['exportOf']): KeySource {
  if (/^[./]/.test(entry)) return exportOf(entry);
  const [id = '', secret = '', ...rest] = entry.split(':');
  const isRight = /^[\w.@-]+$/.test(id) && /^[\w+/-]+={0,2}$/.test(secret) && rest.length === 0;
  if (isRight && Buffer.from(secret, 'base64').length === 32) return { id, secret };
  throw new InvalidInputError(
    `Entry ${number} of BATON_KEYS is wrong: write id:key, as "baton key --encryption" prints it, or ./file.ts:export for a key service`,
  );
}

function listed(text: string | undefined): string[] {
  return (text ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
}

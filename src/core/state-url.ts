import { isAbsolute, resolve } from 'node:path';
import { InvalidInputError } from './errors.ts';
import type { ExportSource } from './project-export.ts';
import { bareUrl, SEALED_PREFIX } from './sealed-url.ts';

/** For messages: all that a store's address may look like. */
const STATE_URL_FORMS =
  'memory: · sqlite:./state.db · redis://host (rediss://, redis+unix:///path, redis+cluster://host,host) · postgres://user:password@host/database · encrypted+ before any of these · ./my-saver.ts:export';

/** What must follow the scheme. */
const SCHEMES: Record<string, RegExp> = {
  memory: /^(\?|$)/,
  sqlite: /^[^?]/,
  redis: /^\/\/./,
  rediss: /^\/\/./,
  'redis+unix': /^\/\/./,
  'redis+cluster': /^\/\/./,
  'rediss+cluster': /^\/\/./,
  postgres: /^\/\/./,
  postgresql: /^\/\/./,
};
/** A module that exports a saver; with the name of the export after a colon. */
const MODULE = /^(\.{1,2}[\\/]|\/|[A-Za-z]:[\\/])/;

/**
 * The address of a state store in its one spelling, so that two that name one store are equal: relative paths count from
 * `folder`. @throws InvalidInputError that names the setting, and not the address, which may hold a password.
 */
export function stateUrl(text: string, folder: string, setting: string): string {
  if (isSaverModule(text)) return resolve(folder, text);
  const sealed = text.startsWith(SEALED_PREFIX) ? SEALED_PREFIX : '';
  const [, scheme = '', rest = ''] = /^([a-z+]+):(.*)$/s.exec(text.slice(sealed.length)) ?? [];
  const shape = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (shape?.test(rest) !== true) {
    const what = shape
      ? 'is not complete'
      : scheme
        ? `begins with "${scheme}:", which no store takes`
        : 'has no scheme';
    throw new InvalidInputError(`${setting} ${what}: write it as one of ${STATE_URL_FORMS}`);
  }
  return `${sealed}${scheme}:${scheme === 'sqlite' ? absolute(rest, folder) : rest}`;
}

/** Whether an address is the path of a module that exports a saver of the project's own. */
export function isSaverModule(url: string): boolean {
  return MODULE.test(url);
}

/** The export that such a path names; the colon after a Windows drive's letter is no separator. */
export function saverExport(url: string): ExportSource {
  const colon = url.lastIndexOf(':');
  const [file, exportName] = colon > 1 ? [url.slice(0, colon), url.slice(colon + 1)] : [url, ''];
  return { file, exportName: exportName || 'default' };
}

/** Whether the state goes with the process that holds it. */
export function isMemory(url: string): boolean {
  return bareUrl(url).startsWith('memory:');
}

/** The address to be shown: without user, password and options. */
export function shownStateUrl(url: string): string {
  if (isSaverModule(url)) return url;
  const [, scheme = '', rest = ''] = /^([a-z+]+):(.*)$/s.exec(url) ?? [];
  // A password may hold anything, so all up to the last @ goes.
  const at = rest.lastIndexOf('@');
  const [place = ''] = (at < 0 ? rest : `//${rest.slice(at + 1)}`).split(/[?#]/);
  return `${scheme}:${place}`;
}

function absolute(path: string, folder: string): string {
  const [file = '', ...options] = path.split('?');
  const named = file.startsWith('//') ? file.slice(2) : file;
  return [named === ':memory:' || isAbsolute(named) ? named : resolve(folder, named), ...options].join('?');
}

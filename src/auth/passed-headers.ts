import type { IncomingHttpHeaders } from 'node:http';

/** Names in lower case; `*` in them stands for anything. */
export interface HeaderRules {
  includes: readonly string[];
  excludes: readonly string[];
}

export const DEFAULT_HEADER_RULES: HeaderRules = { includes: ['x-*', 'user-agent'], excludes: [] };

/** What proves who somebody is. It gets into a run, whose configuration is stored and traced, only when it is asked for by its full name. */
const CREDENTIALS = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'x-service-key',
  'x-tenant-id',
]);

/** Picks the headers that runs may read. What is excluded is never picked. */
export function headerPicker({
  includes,
  excludes,
}: HeaderRules): (headers: IncomingHttpHeaders) => Record<string, string> {
  const isIncluded = matcher(includes);
  const isExcluded = matcher(excludes);
  const exact = new Set(includes.map((name) => name.toLowerCase()));
  const passes = (name: string) => isIncluded(name) && !isExcluded(name) && (!CREDENTIALS.has(name) || exact.has(name));
  return (headers) => {
    const picked: [string, string][] = [];
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined && passes(name)) picked.push([name, [value].flat().join(', ')]);
    }
    return Object.fromEntries(picked);
  };
}

function matcher(patterns: readonly string[]): (name: string) => boolean {
  const texts = patterns.map((pattern) => pattern.toLowerCase().split('*').map(escape).join('.*'));
  const any = new RegExp(`^(?:${texts.join('|')})$`, 's');
  return (name) => texts.length > 0 && any.test(name);
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

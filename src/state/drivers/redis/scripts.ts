import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

const NAMES = ['change', 'read', 'survey', 'edit', 'fence', 'dump', 'restore', 'delete'] as const;
export type ScriptName = (typeof NAMES)[number];

export interface Script {
  text: string;
  /** By which a server knows it once it has seen it. */
  sha: string;
}

export async function readScripts(): Promise<Record<ScriptName, Script>> {
  const scripts = NAMES.map(async (name): Promise<[ScriptName, Script]> => {
    const text = await readFile(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
    return [name, { text, sha: createHash('sha1').update(text).digest('hex') }];
  });
  return Object.fromEntries(await Promise.all(scripts)) as Record<ScriptName, Script>;
}

import { readdirSync, watch, type FSWatcher } from 'node:fs';
import { join, relative } from 'node:path';

const SOURCE = /\.[cm]?[jt]sx?$|^(langgraph|package|tsconfig)\.json$|^\.env/;
const GENERATED = new Set(['node_modules', 'dist', 'build', 'coverage']);
/** An editor's save is several events, and a checkout many files: they are one change. */
const SETTLE_MS = 100;

/**
 * Calls back with a path when source files below a folder have changed. Folder by folder, since Node's recursive watch on
 * Linux goes through node_modules as well.
 * @returns what ends the watching
 */
export function watchSources(root: string, onChange: (file: string) => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | undefined;

  const changed = (file: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => onChange(relative(root, file)), SETTLE_MS);
  };

  const addFolder = (folder: string): void => {
    watchers.get(folder)?.close(); // of a folder of that name that was there before
    watchers.delete(folder);
    const entries = foldersIn(folder);
    if (!entries) return;
    const watcher = watch(folder, (event, name) => {
      if (name === null) return;
      const isFolder = event === 'rename' && isSourceFolder(name);
      if (isFolder) addFolder(join(folder, name));
      if (SOURCE.test(name) || (isFolder && watchers.has(join(folder, name)))) changed(join(folder, name));
    });
    watchers.set(
      folder,
      watcher.on('error', () => watcher.close()),
    );
    for (const name of entries) addFolder(join(folder, name));
  };

  addFolder(root);
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers.values()) watcher.close();
  };
}

/** Undefined when it is no folder, or gone again. */
function foldersIn(folder: string): string[] | undefined {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && isSourceFolder(entry.name)).map(({ name }) => name);
  } catch {
    return undefined;
  }
}

function isSourceFolder(name: string): boolean {
  return !name.startsWith('.') && !GENERATED.has(name);
}

import { pathToFileURL } from 'node:url';
import { InvalidInputError, messageOf } from './errors.ts';

/** An entry of langgraph.json that names what a module of the project exports. */
export interface ExportSource {
  /** Absolute path of the module. */
  file: string;
  exportName: string;
}

/** Imports it. Throws InvalidInputError that calls it `what` and names file, export and cause. */
export async function importExport(source: ExportSource, what: string): Promise<unknown> {
  const { file, exportName } = source;
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw unusable(source, what, messageOf(error).split('\n')[0] ?? '');
  }
  // A CommonJS module's exports may stand one level down, under `default`.
  const inner = module['default'];
  const found = module[exportName] ?? (isObject(inner) ? inner[exportName] : undefined);
  if (found === undefined || found === null) throw unusable(source, what, 'there is no such export');
  return isObject(found) && exportName === 'default' && '__esModule' in found ? found['default'] : found;
}

export function unusable({ file, exportName }: ExportSource, what: string, reason: string): InvalidInputError {
  return new InvalidInputError(`${what} in ${file} (export "${exportName}") cannot be used: ${reason}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

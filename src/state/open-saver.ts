import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint';
import { ServiceError } from '../core/errors.ts';
import { importExport, unusable } from '../core/project-export.ts';
import { isSaverModule, saverExport, shownStateUrl } from '../core/state-url.ts';
import type { MayWrite } from './foreign-saver.ts';
import { openState, type OpenStateOptions } from './open-state.ts';
import { reasonOf } from './outages.ts';
import type { StateSaver } from './state-saver.ts';

export interface OpenSaverOptions extends OpenStateOptions {
  /** The setting that names the store, for messages. */
  setting: string;
  /** For a saver that has no fences of its own. */
  mayWrite: MayWrite;
}

/**
 * Opens any store that a setting may name: one of ours, or a saver of the project's own.
 * @throws ServiceError with one line that names the setting and what to do.
 */
export async function openSaver({ setting, mayWrite, ...options }: OpenSaverOptions): Promise<StateSaver> {
  try {
    return isSaverModule(options.url) ? await openForeign(options.url, setting, mayWrite) : await openState(options);
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError(
      'unavailable',
      `${setting} names the state store ${shownStateUrl(options.url)}, which cannot be opened (${reasonOf(error)}): see that it runs and that the address is right, then start again`,
      { cause: error },
    );
  }
}

async function openForeign(url: string, setting: string, mayWrite: MayWrite): Promise<StateSaver> {
  const { ForeignSaver } = await import('./foreign-saver.ts');
  const source = saverExport(url);
  const what = `The saver that ${setting} names`;
  const found = await importExport(source, what);
  const isMade = typeof found === 'function';
  const saver = isMade ? await (found as () => unknown)() : found;
  const lacks = METHODS.find((name) => typeof (saver as Partial<BaseCheckpointSaver> | null)?.[name] !== 'function');
  if (lacks !== undefined) {
    throw unusable(source, what, `it is no BaseCheckpointSaver, nor a function that gives one: "${lacks}" is missing`);
  }
  return new ForeignSaver({ saver: saver as BaseCheckpointSaver, name: shownStateUrl(url), mayWrite, closes: isMade });
}

const METHODS = ['getTuple', 'list', 'put', 'putWrites', 'deleteThread', 'getNextVersion'] as const;

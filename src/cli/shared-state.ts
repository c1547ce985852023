import type { BatonConfig } from '../config/config.ts';
import { InvalidInputError } from '../core/errors.ts';
import { isMemory } from '../core/state-url.ts';

/**
 * For a process that is API or worker only: what one process has in its memory no other can read, so an API would show
 * nothing of what the workers do. @throws InvalidInputError
 */
export function assertSharedState({ stateUrl, graphs }: BatonConfig): void {
  const settings = new Map([['STATE_URL', stateUrl ?? '']]);
  for (const [id, { state = '' }] of Object.entries(graphs)) {
    settings.set(`baton.graphs.${id}.state of langgraph.json`, state);
  }
  for (const [setting, url] of settings) {
    if (!isMemory(url)) continue;
    throw new InvalidInputError(
      `${setting} is memory:, which belongs to one process, and here API and workers are processes of their own: use a store that all can reach (sqlite:, redis://, postgres://), or one process for both ("baton start")`,
    );
  }
}

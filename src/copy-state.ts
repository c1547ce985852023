import { readingOnly } from './blobs/blob-offload.ts';
import { StateCopy, type StateCopyRequest, type StateCopySum } from './engine/threads/state-copy.ts';
import { saverOpener, type SaverOpenerParts } from './open-stores.ts';
import type { GraphRegistry } from './engine/graphs/registry.ts';
import type { ThreadStates } from './engine/threads/thread-state.ts';
import { openSides } from './state/copy/copy-sides.ts';
import type { StateStores } from './state/state-stores.ts';

/** Between which stores, as a person names them; null: the project's own. */
export interface CopyRequest extends StateCopyRequest {
  from: string | null;
  to: string | null;
}

interface CopyParts extends SaverOpenerParts {
  graphs: GraphRegistry;
  stores: StateStores;
  states: ThreadStates;
}

/** Opens the two stores of a copy, if they are not open, and copies. */
export async function copyState(
  parts: CopyParts,
  request: CopyRequest,
  tell: (line: string) => void,
): Promise<StateCopySum> {
  const { graphs, config } = parts;
  if (request.graphId !== undefined) graphs.source(request.graphId); // throws when there is no such graph
  // References to blobs say which thread they are for, and not in which store: one that the project does not use must not
  // depend on what it does with them.
  const open = saverOpener({ ...parts, offload: readingOnly(parts.offload) });
  const sides = await openSides({ ...parts, ...request, folder: config.projectDir, open });
  try {
    return await new StateCopy({ ...parts, ...sides, tell }).run(request);
  } finally {
    await sides.close();
  }
}

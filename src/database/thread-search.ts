import type { Access } from '../core/access.ts';
import type { JsonObject } from '../core/json.ts';
import type { Thread, ThreadStatus } from '../core/thread.ts';
import { Filter } from './filter.ts';
import { metadataInClear } from './sealing/cells.ts';

export interface ThreadFilter {
  ids?: string[] | undefined;
  metadata?: JsonObject | undefined;
  values?: JsonObject | undefined;
  status?: ThreadStatus | undefined;
}

export function threadConditions({ ids, metadata, values, status }: ThreadFilter, access: Access): Filter {
  return new Filter()
    .within(access)
    .and('temporary = ?', false)
    .andIf('thread_id = any(?::uuid[])', ids)
    .andIf('metadata @> ?', metadata)
    .andIf('baton.searchable(values) @> ?', values)
    .andIf('status = ?', status);
}

/** What is shown of a thread whose row cannot be opened. */
export function spoiltThread({ metadata }: Thread, { name, message }: Error): Partial<Thread> {
  const error = { error: name, message };
  return { metadata: metadataInClear(metadata), config: {}, values: null, interrupts: {}, error };
}

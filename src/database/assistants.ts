import { Access, type Guarded } from '../core/access.ts';
import type { Assistant } from '../core/assistant.ts';
import { OF_NO_THREAD } from '../core/data-key.ts';
import type { JsonObject } from '../core/json.ts';
import type { Database, Queryable } from './database.ts';
import { Filter, pageClause, type Page } from './filter.ts';
import { metadataInClear } from './sealing/cells.ts';

const COLUMNS = 'assistant_id, graph_id, name, description, config, context, metadata, version, created_at, updated_at';
const VERSIONED = 'graph_id, name, description, config, context, metadata';

export type AssistantFields = Pick<Assistant, 'graph_id' | 'name' | 'description' | 'config' | 'context' | 'metadata'>;
export type NewAssistant = AssistantFields & { assistant_id: string };

export interface AssistantFilter {
  graph_id?: string | undefined;
  /** Part of the name, in any case. */
  name?: string | undefined;
  metadata?: JsonObject | undefined;
}
type AssistantSort = 'assistant_id' | 'graph_id' | 'name' | 'created_at' | 'updated_at';
export type AssistantPage = Page<AssistantSort>;

export class Assistants implements Guarded<Assistants> {
  readonly #db: Database;
  readonly #access: Access;
  constructor(database: Database, access = Access.everything) {
    this.#db = database;
    this.#access = access;
  }

  /** The same, as if there were no assistants, nor versions of them, beyond the access. */
  within(access: Access): Assistants {
    return new Assistants(this.#db, access);
  }

  /** Null when the id is taken. */
  async insert(assistant: NewAssistant): Promise<Assistant | null> {
    const values = await fieldValues(this.#db, assistant.assistant_id, assistant);
    return this.#db.transaction(async (tx) => {
      const [row] = await tx.query<Assistant>(
        `insert into baton.assistants (assistant_id, ${VERSIONED}) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict do nothing returning ${COLUMNS}`,
        [assistant.assistant_id, ...values],
      );
      if (!row) return null;
      await recordVersion(tx, row.assistant_id);
      return row;
    });
  }

  async get(assistantId: string): Promise<Assistant | null> {
    const [row] = await this.#db.prepared<Assistant>(
      `select ${COLUMNS} from baton.assistants where assistant_id = $1 and metadata @> $2`,
      [assistantId, this.#access.contains],
    );
    return row ?? null;
  }

  /** Replaces the given fields (metadata is merged) and makes a new version, also when nothing was given. */
  async update(assistantId: string, patch: Partial<AssistantFields>): Promise<Assistant | null> {
    const values = await fieldValues(this.#db, assistantId, patch);
    return this.#db.transaction(async (tx) => {
      // A statement of its own: the versions are counted after the lock was given.
      await tx.query('select 1 from baton.assistants where assistant_id = $1 for update', [assistantId]);
      const [row] = await tx.query<Assistant>(
        `update baton.assistants a set
           graph_id = coalesce($2, a.graph_id), name = coalesce($3, a.name), description = coalesce($4, a.description),
           config = coalesce($5, a.config), context = coalesce($6, a.context), metadata = a.metadata || coalesce($7::jsonb, '{}'),
           version = (select max(version) + 1 from baton.assistant_versions v where v.assistant_id = a.assistant_id),
           updated_at = now()
         where assistant_id = $1 and metadata @> $8 returning ${COLUMNS}`,
        [assistantId, ...values, this.#access.contains],
      );
      if (!row) return null;
      await recordVersion(tx, assistantId);
      return row;
    });
  }

  /** Puts an earlier version in force. Null when there is no such assistant or version. */
  async setLatest(assistantId: string, version: number): Promise<Assistant | null> {
    const [row] = await this.#db.query<Assistant>(
      `update baton.assistants a set (${VERSIONED}, version) =
         (select ${VERSIONED}, version from baton.assistant_versions v where v.assistant_id = $1 and v.version = $2),
         updated_at = now()
       where assistant_id = $1 and metadata @> $3
         and exists (select 1 from baton.assistant_versions v where v.assistant_id = $1 and v.version = $2 and v.metadata @> $3)
       returning ${COLUMNS}`,
      [assistantId, version, this.#access.contains],
    );
    return row ?? null;
  }

  /** Newest first. One that cannot be opened is shown without what is sealed. */
  async versions(
    assistantId: string,
    { metadata, limit, offset }: { metadata?: JsonObject | undefined; limit: number; offset: number },
  ): Promise<Omit<Assistant, 'updated_at'>[]> {
    this.#db.sealing?.requireClear(metadata, 'metadata');
    return this.#db.queryEach<Omit<Assistant, 'updated_at'>>(
      `select assistant_id, ${VERSIONED}, version, created_at from baton.assistant_versions
       where assistant_id = $1 and metadata @> $2 and metadata @> $5 order by version desc limit $3 offset $4`,
      [assistantId, metadata ?? {}, limit, offset, this.#access.contains],
      spoiltAssistant,
    );
  }

  /** One that cannot be opened is shown without what is sealed. */
  async search(filter: AssistantFilter, page: AssistantPage): Promise<Assistant[]> {
    this.#db.sealing?.requireClear(filter.metadata, 'metadata');
    const conditions = assistantConditions(filter, this.#access);
    const columns = {
      assistant_id: 'assistant_id',
      graph_id: 'graph_id',
      name: 'name',
      created_at: 'created_at',
      updated_at: 'updated_at',
    };
    const order = pageClause(conditions, page, columns, 'assistant_id');
    const text = `select ${COLUMNS} from baton.assistants ${conditions.where} ${order}`;
    return this.#db.queryEach<Assistant>(text, conditions.values, spoiltAssistant);
  }

  async count(filter: AssistantFilter): Promise<number> {
    this.#db.sealing?.requireClear(filter.metadata, 'metadata');
    const conditions = assistantConditions(filter, this.#access);
    const [row] = await this.#db.query<{ n: number }>(
      `select count(*) n from baton.assistants ${conditions.where}`,
      conditions.values,
    );
    return row?.n ?? 0;
  }

  async delete(assistantId: string): Promise<boolean> {
    const rows = await this.#db.query(
      'delete from baton.assistants where assistant_id = $1 and metadata @> $2 returning 1',
      [assistantId, this.#access.contains],
    );
    return rows.length > 0;
  }
}

function spoiltAssistant({ metadata }: Pick<Assistant, 'metadata'>): Partial<Assistant> {
  return { metadata: metadataInClear(metadata), description: null, config: {}, context: {} };
}

function assistantConditions({ graph_id, name, metadata }: AssistantFilter, access: Access): Filter {
  return new Filter()
    .within(access)
    .andIf('graph_id = ?', graph_id)
    .andIf('position(lower(?::text) in lower(name)) > 0', name)
    .andIf('metadata @> ?', metadata);
}

/** What was not given stays null: whoever updates keeps what is there. Names are in clear, as they are searched for by parts. */
async function fieldValues(database: Database, id: string, fields: Partial<AssistantFields>): Promise<unknown[]> {
  const { graph_id, name, description, config, context, metadata } = fields;
  const cells = await database.cells(OF_NO_THREAD);
  return [
    graph_id ?? null,
    name ?? null,
    description ? await cells.text(['assistant.description', id], description) : (description ?? null),
    config ? await cells.json(['assistant.config', id], config) : null,
    context ? await cells.json(['assistant.context', id], context) : null,
    metadata ? await cells.metadata(['assistant.metadata', id], metadata) : null,
  ];
}

async function recordVersion(tx: Queryable, assistantId: string): Promise<void> {
  await tx.query(
    `insert into baton.assistant_versions (assistant_id, version, ${VERSIONED})
     select assistant_id, version, ${VERSIONED} from baton.assistants where assistant_id = $1`,
    [assistantId],
  );
}

import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { Pool } from 'pg';
import { InvalidInputError } from '../../core/errors.ts';
import { ForeignSaver } from '../foreign-saver.ts';
import type { StateSaver } from '../state-saver.ts';

const SCHEME = /^stock\+(?=postgres(ql)?:\/\/)/;

/** Whether an address means what LangGraph's own `PostgresSaver` has stored in a database. */
export function isStock(url: string): boolean {
  return SCHEME.test(url);
}

/**
 * What LangGraph's own `PostgresSaver` has stored, read through its package, so in whichever version its rows are. Nothing
 * is written there, not even its tables. `?schema=…`: where they are, if not in `public`.
 */
export async function openStock(url: string): Promise<StateSaver> {
  const address = new URL(url.replace(SCHEME, ''));
  const schema = address.searchParams.get('schema') ?? 'public';
  address.searchParams.delete('schema');
  const pool = new Pool({ connectionString: address.href, application_name: 'baton state copy', max: 4 });
  pool.on('error', () => undefined); // the query that needs the connection will say so
  const threads = async (limit: number, after?: string): Promise<string[]> => {
    const { rows } = await pool.query<{ thread_id: string }>(
      `select distinct thread_id collate "C" thread_id from "${schema.replaceAll('"', '""')}".checkpoints
       where $2::text is null or thread_id collate "C" > $2 order by 1 limit $1`,
      [limit, after ?? null],
    );
    return rows.map(({ thread_id }) => thread_id);
  };
  try {
    await threads(1);
  } catch (error) {
    await pool.end();
    if ((error as { code?: unknown }).code !== '42P01' && (error as { code?: unknown }).code !== '3F000') throw error;
    throw new InvalidInputError(
      `That database has no table "checkpoints" of PostgresSaver in schema "${schema}": name its schema with ?schema=…`,
    );
  }
  return new ForeignSaver({
    saver: new PostgresSaver(pool, undefined, { schema }),
    name: `stock+postgres://${address.host}${address.pathname}`,
    mayWrite: async () => false,
    threads,
    closes: true,
  });
}

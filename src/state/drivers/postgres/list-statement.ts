import type { CheckpointKey, CheckpointQuery } from '../checkpoint-driver.ts';
import { toJsonb, toKey } from '../text-key.ts';

/** The `where` clause of a query and its parameters, which begin with $1. `shape` tells clauses apart that differ. */
export interface WhereClause {
  shape: string;
  text: string;
  values: string[];
}

export function whereClause(query: CheckpointQuery, after: CheckpointKey | undefined): WhereClause {
  const { filter = {} } = query;
  const runId: unknown = filter['run_id'];
  const before = { ...query, checkpoint_id: query.before };
  const conditions: [letter: string, sql: string, ...operands: (string | undefined)[]][] = [
    ['t', 'thread_id = ?', query.thread_id],
    ['n', 'checkpoint_ns = ?', query.checkpoint_ns],
    ['i', 'checkpoint_id = ?', query.checkpoint_id],
    ['b', `seq < ${placeOf(before)}`, ...operandsOf(before)],
    // Also in the metadata, but here nothing has to be unpacked.
    ['r', 'run_id = ?', typeof runId === 'string' ? runId : undefined],
    [
      'a',
      `(seq, thread_id, checkpoint_ns) < (${placeOf(after)}, ?, ?)`,
      ...operandsOf(after),
      after?.thread_id,
      after?.checkpoint_ns,
    ],
  ];
  const values: string[] = [];
  const parameter = (value: string): string => `$${values.push(value)}`;
  const clauses: string[] = [];
  let shape = '';
  for (const [letter, sql, ...operands] of conditions) {
    const given = operands.filter((operand) => operand !== undefined);
    if (given.length < operands.length) continue;
    shape += letter;
    clauses.push(sql.replaceAll('?', () => parameter(toKey(given.shift() ?? ''))));
  }
  if (Object.keys(filter).length > 0) {
    shape += 'm';
    clauses.push(`metadata @> ${parameter(toJsonb(JSON.stringify(filter)))}::jsonb`);
  }
  return { shape, text: clauses.length > 0 ? `where ${clauses.join(' and ')}` : '', values };
}

type PartialKey = { [K in keyof CheckpointKey]?: string | undefined };

/** A checkpoint's place in the order of storing; of one that is not there, right after all whose ids are smaller. */
function placeOf(key: PartialKey = {}): string {
  const scope = scopeOf(key).map((column) => `${column} = ? and `);
  return `coalesce((select max(seq) from baton_state.checkpoints where ${scope.join('')}checkpoint_id = ?),
    (select max(seq) + 1 from baton_state.checkpoints where ${scope.join('')}checkpoint_id < ?), 0)`;
}

function operandsOf(key: PartialKey = {}): (string | undefined)[] {
  const operands = [...scopeOf(key).map((column) => key[column]), key.checkpoint_id];
  return [...operands, ...operands];
}

function scopeOf(key: PartialKey): (keyof CheckpointKey)[] {
  return (['thread_id', 'checkpoint_ns'] as const).filter((column) => key[column] !== undefined);
}

import type { CheckpointKey, CheckpointQuery } from '../../checkpoint-driver.ts';
import { toJsonb, toKey } from './text-key.ts';

/** The `where` clause of a query and its parameters, which begin with $1. `shape` tells clauses apart that differ. */
export interface WhereClause {
  shape: string;
  text: string;
  values: string[];
}

export function whereClause(query: CheckpointQuery, after: CheckpointKey | undefined): WhereClause {
  const { filter = {} } = query;
  const runId: unknown = filter['run_id'];
  const conditions: [letter: string, sql: string, ...operands: (string | undefined)[]][] = [
    ['t', 'thread_id = ?', query.thread_id],
    ['n', 'checkpoint_ns = ?', query.checkpoint_ns],
    ['i', 'checkpoint_id = ?', query.checkpoint_id],
    ['b', 'checkpoint_id < ?', query.before],
    // Also in the metadata, but here nothing has to be unpacked.
    ['r', 'run_id = ?', typeof runId === 'string' ? runId : undefined],
    [
      'a',
      '(checkpoint_id, thread_id, checkpoint_ns) < (?, ?, ?)',
      after?.checkpoint_id,
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

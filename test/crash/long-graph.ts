import { setTimeout } from 'node:timers/promises';
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { Pool } from 'pg';
import { crashPoint } from './crash-point.ts';

/** Longer than what durability `auto` leaves unsaved. */
const COSTLY_MS = 2200;

const State = Annotation.Root({
  passed: Annotation<string[]>({ reducer: (before, after) => [...before, ...after], default: () => [] }),
});

const pool = new Pool({ connectionString: process.env['DATABASE_URL'], max: 2 });
pool.on('error', () => {});

function runner(name: string) {
  return async (_: unknown, config: { configurable?: Record<string, unknown> }) => {
    await pool.query('insert into ledger (run_id, node) values ($1, $2)', [config.configurable?.['run_id'], name]);
    await crashPoint(pool, `inside ${name}`);
    if (name === 'n10') await setTimeout(COSTLY_MS);
    await pool.query('select pg_notify($1, $2)', ['node_done', name]);
    return { passed: [name] };
  };
}

/** n1 to n20, one after the other; n10 is costly. */
export const long = (() => {
  const names = Array.from({ length: 20 }, (_, index) => `n${index + 1}`);
  const builder = new StateGraph(State);
  for (const name of names) builder.addNode(name, runner(name));
  const path = [START, ...names, END];
  for (const [index, name] of path.slice(0, -1).entries())
    builder.addEdge(name as typeof START, path[index + 1] as typeof END);
  return builder.compile();
})();

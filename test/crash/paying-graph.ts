import { Annotation, START, StateGraph } from '@langchain/langgraph';
import { Pool } from 'pg';
import { effect, sleep } from '../../src/sdk/index.ts';
import { crashPoint } from './crash-point.ts';

const pool = new Pool({ connectionString: process.env['DATABASE_URL'], max: 2 });
pool.on('error', () => {});

const State = Annotation.Root({
  passed: Annotation<string[]>({ reducer: (before, after) => [...before, ...after], default: () => [] }),
});

/** The world outside: every call of it is a row of the ledger, with the key by which a real service would know it again. */
async function pay(name: string, runId: unknown): Promise<string> {
  return effect(name, async ({ idempotencyKey, attempt }) => {
    await pool.query('insert into ledger (run_id, node) values ($1, $2)', [
      runId,
      `${name} ${idempotencyKey} ${attempt}`,
    ]);
    await crashPoint(pool, `inside ${name}`);
    return `${name} by ${idempotencyKey}`;
  });
}

/** Pays twice in one node, then sleeps for an hour and pays once more. */
export const paying = new StateGraph(State)
  .addNode('pay', async (_state, { configurable }) => {
    const paid = [await pay('one', configurable?.['run_id']), await pay('two', configurable?.['run_id'])];
    await crashPoint(pool, 'after paying');
    return { passed: paid };
  })
  .addNode('rest', async (_state, { configurable }) => {
    const before = await pay('three', configurable?.['run_id']);
    await sleep('rest', '1h');
    await crashPoint(pool, 'after sleeping');
    return { passed: [before] };
  })
  .addEdge(START, 'pay')
  .addEdge('pay', 'rest')
  .compile();

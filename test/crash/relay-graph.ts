import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { Client } from 'pg';
import { crashPoint } from './crash-point.ts';

/** Every node leaves its name in the state, and a row in a ledger outside of it: the state says what was kept, the ledger what was done. */
const State = Annotation.Root({
  passed: Annotation<string[]>({ reducer: (before, after) => [...before, ...after], default: () => [] }),
});

function runner(name: string) {
  return async (_: unknown, config: { configurable?: Record<string, unknown> }) => {
    const client = new Client({ connectionString: process.env['DATABASE_URL'] });
    await client.connect();
    try {
      await client.query('insert into ledger (run_id, node) values ($1, $2)', [config.configurable?.['run_id'], name]);
      // Passes at once unless a test holds this gate shut.
      await client.query('select pg_advisory_xact_lock_shared(hashtext($1))', [`gate ${name}`]);
      await crashPoint(client, `inside ${name}`);
      await client.query('select pg_notify($1, $2)', ['node_done', name]);
    } finally {
      await client.end();
    }
    return { passed: [name] };
  };
}

/** Blocks the event loop for three leases, as a node does that computes. */
export const busy = new StateGraph(State)
  .addNode('compute', async (state: typeof State.State, config: { configurable?: Record<string, unknown> }) => {
    const done = await runner('compute')(state, config);
    for (const until = Date.now() + 3000; Date.now() < until;);
    return done;
  })
  .addEdge(START, 'compute')
  .addEdge('compute', END)
  .compile();

/** a, then b1 and b2 side by side, then c and d. */
export const relay = new StateGraph(State)
  .addNode('a', runner('a'))
  .addNode('b1', runner('b1'))
  .addNode('b2', runner('b2'))
  .addNode('c', runner('c'))
  .addNode('d', runner('d'))
  .addEdge(START, 'a')
  .addEdge('a', 'b1')
  .addEdge('a', 'b2')
  .addEdge(['b1', 'b2'], 'c')
  .addEdge('c', 'd')
  .addEdge('d', END)
  .compile();

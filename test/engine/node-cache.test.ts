import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { InMemoryCache } from '@langchain/langgraph-checkpoint';
import { expect, it } from 'vitest';
import { keepFailuresOut } from '../../src/engine/runs/keep-failures-out.ts';
import { MemoryDriver } from '../../src/state/drivers/memory/memory-driver.ts';
import { DurableSaver } from '../../src/state/durable-saver.ts';

it('a cached node whose edge failed is executed again, with its edge, and is cached when that is over', async () => {
  let fails = true;
  let executed = 0;
  const State = Annotation.Root({ way: Annotation<string>, done: Annotation<string> });
  const checkpointer = new DurableSaver({ driver: new MemoryDriver() });
  const graph = new StateGraph(State)
    .addNode('choose', () => ({ way: `left ${(executed += 1)}` }), { cachePolicy: true })
    .addNode('left', ({ way }) => ({ done: way }))
    .addEdge(START, 'choose')
    .addConditionalEdges(
      'choose',
      () => {
        if (fails) throw new Error('no way yet');
        return 'left';
      },
      ['left'],
    )
    .addEdge('left', END)
    .compile({ checkpointer, cache: new InMemoryCache() });
  keepFailuresOut(graph);
  const thread = (thread_id: string) => ({ configurable: { thread_id } });
  await expect(graph.invoke({}, thread('a'))).rejects.toThrow('no way yet');
  fails = false;
  expect(await graph.invoke(null, thread('a'))).toEqual({ way: 'left 2', done: 'left 2' });
  expect(await graph.invoke({}, thread('b'))).toEqual({ way: 'left 2', done: 'left 2' });
});

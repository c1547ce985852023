import { Annotation, END, START, StateGraph } from '@langchain/langgraph';

const State = Annotation.Root({ n: Annotation<number> });
const addOne = ({ n }: typeof State.State) => ({ n: n + 1 });

/** Three nodes that do nothing worth mentioning: what is left is what surrounds them. */
export const builder = new StateGraph(State)
  .addNode('one', addOne)
  .addNode('two', addOne)
  .addNode('three', addOne)
  .addEdge(START, 'one')
  .addEdge('one', 'two')
  .addEdge('two', 'three')
  .addEdge('three', END);

export const graph = builder.compile();

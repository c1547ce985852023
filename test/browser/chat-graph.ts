import { HumanMessage } from '@langchain/core/messages';
import { interrupt, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import { ChatOpenAI } from '@langchain/openai';

/** The environment says where the model answers: the stand-in of these tests. */
const model = new ChatOpenAI({ model: 'stand-in', maxRetries: 0, streaming: true });

/** Answers with the model; a message that begins with "ask" is asked about first. */
export const chat = new StateGraph(MessagesAnnotation)
  .addNode('ask', ({ messages }) =>
    messages.at(-1)?.text.startsWith('ask')
      ? { messages: [new HumanMessage(interrupt<string, string>('What do you mean?'))] }
      : {},
  )
  .addNode('reply', async ({ messages }, config) => ({ messages: [await model.invoke(messages, config)] }))
  .addEdge(START, 'ask')
  .addEdge('ask', 'reply');

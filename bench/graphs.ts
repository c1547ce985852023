import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager';
import { SimpleChatModel } from '@langchain/core/language_models/chat_models';
import { AIMessageChunk, type BaseMessage } from '@langchain/core/messages';
import { ChatGenerationChunk } from '@langchain/core/outputs';
import { Annotation, END, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';

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

export const three = builder.compile();

/** A model that says the time (milliseconds since the epoch, with fractions) as often as it was asked to, as fast as it is listened to. */
class Clock extends SimpleChatModel {
  readonly #tokens: number;
  constructor(tokens: number) {
    super({});
    this.#tokens = tokens;
  }

  override _llmType(): string {
    return 'clock';
  }

  override async _call(): Promise<string> {
    return '';
  }

  override async *_streamResponseChunks(
    _messages: BaseMessage[],
    _options: this['ParsedCallOptions'],
    run?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    for (let token = 0; token < this.#tokens; token++) {
      // As between two reads of a socket: without it nothing else in the process would get a turn.
      await turn();
      const text = `${performance.timeOrigin + performance.now()} `;
      const chunk = new ChatGenerationChunk({ text, message: new AIMessageChunk({ content: text }) });
      yield chunk;
      await run?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk });
    }
  }
}

const Talk = Annotation.Root({
  ...MessagesAnnotation.spec,
  tokens: Annotation<number>,
  /** Before the first token, so that readers can come. */
  delayMs: Annotation<number>,
});

/** Waits, then talks. */
export const talk = new StateGraph(Talk)
  .addNode('say', async ({ tokens, delayMs }) => {
    await pause(delayMs);
    for await (const _ of await new Clock(tokens).stream('go on'));
    return { delayMs: 0 };
  })
  .addEdge(START, 'say')
  .addEdge('say', END)
  .compile();

import { HumanMessage, type BaseMessage } from '@langchain/core/messages';
import { useStream, type UseStreamReturn } from '@langchain/react';
import { ASSISTANT_ID, type ChatOptions } from './chat-options.ts';
import { ChatView } from './chat-view.tsx';

interface State {
  messages: BaseMessage[];
}
type Stream = UseStreamReturn<State, string>;

/** A chat with `useStream` of `@langchain/react`, which speaks the protocol of threads. */
export function ReactChat({ apiUrl, transport, threadId, onThreadId }: ChatOptions) {
  const stream = useStream<State, string>({ apiUrl, assistantId: ASSISTANT_ID, transport, threadId, onThreadId });
  const send = (text: string, forkFrom?: string) =>
    void stream.submit({ messages: [new HumanMessage(text)] }, { ...(forkFrom !== undefined && { forkFrom }) });
  return (
    <>
      <ChatView
        lines={stream.messages.map((message) => ({ id: message.id ?? '', type: message.type, text: message.text }))}
        isLoading={stream.isLoading}
        question={stream.interrupt?.value ?? null}
        beside={({ id, type }, draft) =>
          type === 'human' && (
            <button onClick={() => void beforeMessage(stream, id).then((past) => send(draft, past))}>Edit</button>
          )
        }
        onSend={(text) => send(text)}
        onAnswer={(text) => void stream.respond(text, { interruptId: stream.interrupt?.id ?? '' })}
        onStop={() => void stream.stop()}
      />
      <button onClick={() => void oldestLeaf(stream).then((leaf) => send('back here', leaf))}>First branch</button>
    </>
  );
}

const historyOf = ({ client, threadId }: Stream) =>
  client.threads.getHistory<{ messages?: { id?: string }[] }>(threadId ?? '', { limit: 100 });

/** The client's own `useMessageMetadata` names the latest checkpoint with the message before SDK 1.15, not the first one. */
async function beforeMessage(stream: Stream, messageId: string): Promise<string | undefined> {
  const history = await historyOf(stream);
  const first = history.findLast(({ values }) => values.messages?.some(({ id }) => id === messageId));
  return first?.parent_checkpoint?.checkpoint_id ?? undefined;
}

/** This client has no branches of its own; the history has: the end of the one that was there first. */
async function oldestLeaf(stream: Stream): Promise<string | undefined> {
  const history = await historyOf(stream);
  const parents = new Set(history.map(({ parent_checkpoint }) => parent_checkpoint?.checkpoint_id));
  return (
    history.findLast(({ checkpoint }) => !parents.has(checkpoint.checkpoint_id))?.checkpoint.checkpoint_id ?? undefined
  );
}

import type { Message } from '@langchain/langgraph-sdk';
import { useStream } from '@langchain/langgraph-sdk/react';
import { useState } from 'react';
import { ASSISTANT_ID, type ChatOptions } from './chat-options.ts';
import { ChatView } from './chat-view.tsx';

interface State extends Record<string, unknown> {
  messages: Message[];
}

/** A chat with `useStream` of `@langchain/langgraph-sdk/react`. */
export function SdkChat({ apiUrl, threadId: givenThreadId, onThreadId }: ChatOptions) {
  const [threadId, setThreadId] = useState(givenThreadId);
  const stream = useStream<State, { InterruptType: string }>({
    apiUrl,
    assistantId: ASSISTANT_ID,
    threadId,
    onThreadId: (id) => {
      setThreadId(id);
      onThreadId(id);
    },
    fetchStateHistory: { limit: 100 },
    reconnectOnMount: true,
  });
  const human = (text: string) => ({ messages: [{ type: 'human' as const, content: text }] });
  /** Undefined: the newest. Without it the client goes on from the branch that is shown, and shows another one. */
  const shownEnd = stream.branch === '' ? undefined : stream.history.at(-1)?.checkpoint;
  const metadata = new Map(stream.messages.map((message) => [message.id, stream.getMessagesMetadata(message)]));
  return (
    <ChatView
      lines={stream.messages.map(({ id, type, content }) => ({
        id: id ?? '',
        type,
        text: typeof content === 'string' ? content : '',
      }))}
      isLoading={stream.isLoading}
      question={stream.interrupt?.value ?? null}
      beside={({ id, type }, draft) => {
        const { firstSeenState, branch, branchOptions } = metadata.get(id) ?? {};
        return (
          <>
            {type === 'human' && (
              <button
                onClick={() =>
                  void stream.submit(human(draft), { checkpoint: firstSeenState?.parent_checkpoint ?? null })
                }
              >
                Edit
              </button>
            )}
            {branchOptions?.map((option, index) => (
              <button key={option} aria-pressed={option === branch} onClick={() => stream.setBranch(option)}>
                {`Branch ${index + 1}`}
              </button>
            ))}
          </>
        );
      }}
      onSend={(text) => void stream.submit(human(text), { checkpoint: shownEnd })}
      onAnswer={(text) => void stream.submit(undefined, { command: { resume: text } })}
      onStop={() => void stream.stop()}
    />
  );
}

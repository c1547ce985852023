/** What the page's address says: which server, which client, how. */
export interface ChatOptions {
  apiUrl: string;
  transport: 'sse' | 'websocket';
  threadId: string | null;
  /** Keeps the thread in the page's address, so that a reload finds it. */
  onThreadId: (threadId: string) => void;
}

export const ASSISTANT_ID = 'chat';

export function chatOptions(query: URLSearchParams): ChatOptions {
  return {
    apiUrl: query.get('api') ?? '',
    transport: query.get('transport') === 'websocket' ? 'websocket' : 'sse',
    threadId: query.get('thread'),
    onThreadId: (threadId) => {
      query.set('thread', threadId);
      history.replaceState(null, '', `?${query.toString()}`);
    },
  };
}

import { useState, type ReactNode } from 'react';

interface Line {
  id: string;
  type: string;
  text: string;
}

export interface ChatViewProps {
  lines: Line[];
  isLoading: boolean;
  /** What the graph waits for, or null. */
  question: string | null;
  /** Beside each line: what the client in use can do with it. */
  beside: (line: Line, draft: string) => ReactNode;
  onSend: (text: string) => void;
  onAnswer: (text: string) => void;
  onStop: () => void;
}

/** A chat as small as it can be: one field for whatever is said, edited or answered. */
export function ChatView({ lines, isLoading, question, beside, onSend, onAnswer, onStop }: ChatViewProps) {
  const [draft, setDraft] = useState('');
  return (
    <main>
      <ol>
        {lines.map((line) => (
          <li key={line.id}>
            <p>{`${line.type}: ${line.text}`}</p>
            {beside(line, draft)}
          </li>
        ))}
      </ol>
      <input aria-label="Draft" value={draft} onChange={({ target }) => setDraft(target.value)} />
      <button onClick={() => onSend(draft)}>Send</button>
      <button onClick={onStop}>Stop</button>
      {question !== null && (
        <section aria-label="Question">
          <p>{question}</p>
          <button onClick={() => onAnswer(draft)}>Answer</button>
        </section>
      )}
      <output>{isLoading ? 'busy' : 'idle'}</output>
    </main>
  );
}

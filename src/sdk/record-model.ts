import { AIMessageChunk } from '@langchain/core/messages';
import type { Runnable } from '@langchain/core/runnables';
import { IterableReadableStream } from '@langchain/core/utils/stream';
import { callDigest } from './call-digest.ts';
import { EffectFailedError, perform } from './effect.ts';
import { openLedger } from './ledger-use.ts';

/** They give a model with more options, on whatever model they are called. */
const DERIVING = new Set<PropertyKey>(['bind', 'bindTools', 'withConfig', 'withStructuredOutput']);
/** They are made of `invoke` and `stream`, and must find the recorded ones. */
const COMPOSING = new Set<PropertyKey>(
  [
    'batch pipe withRetry withFallbacks withListeners streamEvents streamLog transform assign pick asTool',
    '_streamIterator _callWithConfig constructor',
  ].flatMap((names) => names.split(' ')),
);

interface Recording {
  name: string;
  /** What was bound to the model until now. */
  bound: readonly unknown[];
}

/** The part of a model that is recorded. */
interface Model {
  invoke(input: unknown, options?: object): Promise<unknown>;
  stream(input: unknown, options?: object): Promise<AsyncIterable<unknown>>;
}

/**
 * The same model, whose answers are recorded as effects: a node that asks three times and is executed again, after a crash,
 * a retry or an answer to a question, pays for what it had no answer to. Asked the same again in one execution, it answers
 * anew. While it answers tokens stream as ever; an answer from the record calls no callbacks, so its usage counts once.
 *
 *     const model = recordModel(new ChatOpenAI({ model: 'gpt-4o-mini' }));
 *
 * @param options.name of the effects, default `model`.
 */
export function recordModel<M extends Runnable>(model: M, { name = 'model' }: { name?: string } = {}): M {
  return recorded(model, { name, bound: [] });
}

function recorded<M extends object>(model: M, recording: Recording): M {
  const own = model as unknown as Model;
  return new Proxy(model, {
    get(target, property) {
      if (property === 'invoke') return (input: unknown, options?: object) => answer(own, recording, [input, options]);
      if (property === 'stream') {
        return async (input: unknown, options?: object) =>
          IterableReadableStream.fromAsyncGenerator(pieces(own, recording, [input, options]));
      }
      // Not through the proxy, which private fields do not know.
      const value: unknown = Reflect.get(target, property, target);
      if (property === 'bound' && typeof value === 'object' && value !== null) return recorded(value, recording);
      if (typeof value !== 'function' || COMPOSING.has(property)) return value;
      if (!DERIVING.has(property)) return value.bind(target) as unknown;
      return (...args: unknown[]) => {
        const derived: unknown = Reflect.apply(value, target, args);
        const bound = [...recording.bound, property, args];
        return typeof derived === 'object' && derived !== null ? recorded(derived, { ...recording, bound }) : derived;
      };
    },
  });
}

type Call = [input: unknown, options: object | undefined];

function record<T>({ name, bound }: Recording, [input, options = {}]: Call, work: () => Promise<T>): Promise<T> {
  const use = openLedger('effect', name, { countedBy: callDigest(input, options, bound) });
  return perform(use, { work }).catch((error: unknown) => {
    // Whoever tries again, or asks another model, judges by the model's own error.
    throw error instanceof EffectFailedError && error.cause !== undefined ? error.cause : error;
  });
}

function answer(model: Model, recording: Recording, call: Call): Promise<unknown> {
  return record(recording, call, () => model.invoke(...call));
}

/** As they come, when the model is asked now; at once, when it was before. */
async function* pieces(model: Model, recording: Recording, call: Call): AsyncGenerator<unknown, void> {
  const live: unknown[] = [];
  let wake: (isOver: boolean) => void = () => undefined;
  const asked = record(recording, call, async () => {
    for await (const piece of await model.stream(...call)) {
      live.push(piece);
      wake(false);
    }
    return joined(live);
  });
  const over = asked.then(
    () => true,
    // Whoever stops reading before its end does not hear of its failure.
    () => true,
  );
  let seen = 0;
  for (let isOver = false; !isOver;) {
    const more = new Promise<boolean>((resolve) => (wake = resolve));
    if (seen === live.length) isOver = await Promise.race([more, over]);
    for (; seen < live.length; seen += 1) yield live[seen];
  }
  const all = await asked;
  if (seen === 0) yield* all;
}

/** The pieces of a message as one; others, such as of parsed output, each replace the one before or do not add up. */
function joined(pieces: unknown[]): unknown[] {
  const [first, ...rest] = pieces;
  if (!(first instanceof AIMessageChunk) || !rest.every((piece) => piece instanceof AIMessageChunk)) return [...pieces];
  return [rest.reduce((message: AIMessageChunk, piece) => message.concat(piece), first)];
}

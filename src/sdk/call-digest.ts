import { createHash } from 'node:crypto';
import { BaseMessage } from '@langchain/core/messages';

/** What a graph passes along with a call, which is no part of what a model is asked. */
const PASSED_ALONG = new Set(
  'callbacks tags metadata runName runId configurable recursionLimit maxConcurrency timeout signal store context'.split(
    ' ',
  ),
);

/** Of what a model is asked: messages and options. Ids differ between executions of a node, and say nothing. */
export function callDigest(input: unknown, options: object, bound: readonly unknown[]): string {
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => !PASSED_ALONG.has(name)));
  return createHash('sha256')
    .update(JSON.stringify(plain([input, own, bound])))
    .digest('base64url');
}

/** As JSON: of a message what the model reads, of a tool its name, of any other object with a class the class. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof BaseMessage) {
    const { type, content, name, additional_kwargs, ...rest } = value;
    const { tool_calls, tool_call_id } = rest as { tool_calls?: unknown; tool_call_id?: unknown };
    return plain([type, content, name, additional_kwargs, tool_calls, tool_call_id]);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    return [value.constructor.name, 'name' in value ? plain(value.name) : null];
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry]) => [key, plain(entry)]);
}

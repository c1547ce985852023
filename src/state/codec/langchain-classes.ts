import * as messages from '@langchain/core/messages';
import * as promptValues from '@langchain/core/prompt_values';
import * as prompts from '@langchain/core/prompts';

type Fields = Record<string, unknown>;
type Constructor = new (fields: Fields) => object;

/** What LangChain's `Serializable` shows of itself, whichever copy of the package it came from. */
export interface LangChainObject {
  lc_serializable: true;
  lc_namespace: string[];
  lc_id: string[];
  lc_kwargs: Fields;
  lc_secrets?: Record<string, string>;
}

/** The only modules whose classes are built again from stored data. None of them opens a connection or reads a secret. */
const MODULES = new Map<string, object>([
  ['messages', messages],
  ['prompt_values', promptValues],
  ['prompts', prompts],
]);

export function isLangChainObject(value: object): value is LangChainObject {
  return 'lc_serializable' in value && value.lc_serializable === true && 'lc_namespace' in value;
}

/** The class of a stored id (`langchain_core/messages/HumanMessage`), or undefined when it is not one of ours to build. */
export function langChainClass(id: string): Constructor | undefined {
  const [root, module, ...rest] = id.split('/');
  const name = rest.at(-1);
  if (root !== 'langchain_core' || module === undefined || name === undefined) return undefined;
  const found: unknown = Reflect.get(MODULES.get(module) ?? {}, name);
  return typeof found === 'function' ? (found as Constructor) : undefined;
}

export function isMessageId(id: string): boolean {
  return id.startsWith('langchain_core/messages/');
}

/** The constructor fields that make a message again: all that it holds, less what its class gives it. */
export function messageFields(message: LangChainObject): Fields {
  const fields: Fields = {};
  for (const [key, value] of Object.entries(message)) {
    if (value === undefined || key === 'type' || key.startsWith('lc_')) continue;
    if ((key === 'additional_kwargs' || key === 'response_metadata') && isEmpty(value)) continue;
    fields[key] = value;
  }
  return fields;
}

/** The constructor fields of any other LangChain object, as they are now and not as they were at its making. */
export function objectFields(object: LangChainObject): Fields {
  return Object.fromEntries(
    Object.entries(object.lc_kwargs).map(([key, value]) => [key, key in object ? Reflect.get(object, key) : value]),
  );
}

export function buildMessage(Class: Constructor, fields: Fields): object {
  // The constructor of a message keeps and changes the object it is given.
  const stored = { ...fields };
  const message = new Class(fields);
  for (const [key, value] of Object.entries(stored)) if (!(key in message)) Reflect.set(message, key, value);
  // AIMessageChunk drops what it is given here: https://github.com/langchain-ai/langchainjs (messages/ai.ts)
  if (Array.isArray(stored['invalid_tool_calls']) && stored['invalid_tool_calls'].length > 0) {
    Reflect.set(message, 'invalid_tool_calls', stored['invalid_tool_calls']);
  }
  return message;
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

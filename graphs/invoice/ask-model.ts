import type { AIMessage, BaseMessageLike } from '@langchain/core/messages';
import type { z } from 'zod';
import { usageOf } from './pricing.ts';
import type { InvoiceServices } from './services.ts';
import type { Usage } from './state.ts';

export interface Question<T extends Record<string, unknown>> {
  node: string;
  /** Name of the schema on the wire. */
  name: string;
  schema: z.ZodType<T>;
  messages: BaseMessageLike[];
  signal?: AbortSignal;
}

export interface Answer<T> {
  value: T;
  model: string;
  usage: Usage;
}

/** Asks for structured output and keeps the count of the tokens. @throws when the answer does not fit the schema. */
export async function askModel<T extends Record<string, unknown>>(
  services: Pick<InvoiceServices, 'model'>,
  { node, name, schema, messages, signal }: Question<T>,
): Promise<Answer<T>> {
  const { chat, name: model } = await services.model();
  const structured = chat.withStructuredOutput<T>(schema, { name, includeRaw: true });
  const { raw, parsed } = await structured.invoke(messages, signal ? { signal } : {});
  const fit = schema.safeParse(parsed);
  if (!fit.success) {
    throw new Error(`${model} answered something that is no ${name}: run the step again or choose another model.`, {
      cause: fit.error,
    });
  }
  return { value: fit.data, model, usage: usageOf(node, model, (raw as AIMessage).usage_metadata) };
}

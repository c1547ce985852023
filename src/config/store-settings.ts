import { resolve } from 'node:path';
import { z } from 'zod';
import type { EmbedderSource } from '../core/embedder.ts';

/** pgvector's own limit. */
const MAX_DIMS = 16_000;
/** A hundred years: beyond, the database has no dates. */
const MAX_MINUTES = 52_560_000;
/** And what a timer of Node can wait for. */
const MAX_SWEEP_MINUTES = 35_000;

const Index = z.strictObject({
  embed: z.string().regex(/.:./, 'name it as "provider:model", or as "./file.ts:function"'),
  dims: z.int().min(1).max(MAX_DIMS),
  fields: z.array(z.string().min(1).max(200)).min(1).nullish(),
});

const Ttl = z.strictObject({
  refresh_on_read: z.boolean().nullish(),
  default_ttl: z.number().positive().max(MAX_MINUTES).nullish(),
  sweep_interval_minutes: z.int().min(1).max(MAX_SWEEP_MINUTES).nullish(),
});

/** The key `store` of langgraph.json. */
export const StoreKey = z.strictObject({ index: Index.nullish(), ttl: Ttl.nullish() });

export interface StoreSettings {
  /** For searches by likeness; null: there are none. */
  index: { embed: EmbedderSource; dims: number; fields: string[] } | null;
  ttl: {
    /** Null: items live for ever, unless they are put with a time to live. */
    defaultMinutes: number | null;
    refreshOnRead: boolean;
    sweepMinutes: number;
  };
}

export function storeSettings({ index, ttl }: z.infer<typeof StoreKey>, projectDir: string): StoreSettings {
  return {
    index: index
      ? { embed: embedderSource(index.embed, projectDir), dims: index.dims, fields: index.fields ?? ['$'] }
      : null,
    ttl: {
      defaultMinutes: ttl?.default_ttl ?? null,
      refreshOnRead: ttl?.refresh_on_read ?? true,
      sweepMinutes: ttl?.sweep_interval_minutes ?? 5,
    },
  };
}

/** A model's name may have slashes and colons of its own; a Windows path begins with one letter and a colon. */
function embedderSource(embed: string, projectDir: string): EmbedderSource {
  const [, provider, model] = /^([a-z][\w-]+):(.+)$/i.exec(embed) ?? [];
  if (provider !== undefined && model !== undefined) return { provider, model };
  const colon = embed.lastIndexOf(':');
  return { file: resolve(projectDir, embed.slice(0, colon)), exportName: embed.slice(colon + 1) };
}

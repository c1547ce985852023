import type { ExportSource } from './project-export.ts';

/** Where an embedder comes from: `store.index.embed` in langgraph.json. */
export type EmbedderSource =
  /** A module of the project's. */
  | ExportSource
  /** A model of a LangChain integration that the project has installed. */
  | { provider: string; model: string };

/** Turns texts into vectors: the part of LangChain's `Embeddings` that is needed. */
export interface Embedder {
  embedDocuments(texts: string[]): Promise<number[][]>;
  embedQuery(text: string): Promise<number[]>;
}

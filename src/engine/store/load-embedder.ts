import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Embedder, EmbedderSource } from '../../core/embedder.ts';
import { InvalidInputError, messageOf } from '../../core/errors.ts';
import { importExport, type ExportSource } from '../../core/project-export.ts';

/** Where the name of a provider is not that of its package: these are the names that LangChain has for both languages. */
const PACKAGES: Readonly<Record<string, string>> = {
  azure_openai: '@langchain/openai',
  bedrock: '@langchain/aws',
};

/**
 * Loads what `store.index.embed` names, from the project's own modules.
 * @throws InvalidInputError that names it, and what is missing.
 */
export async function loadEmbedder(source: EmbedderSource, projectDir: string): Promise<Embedder> {
  if ('file' in source) return fromFile(source);
  try {
    return await fromProvider(source, projectDir);
  } catch (error) {
    throw new InvalidInputError(`The embedder ${source.provider}:${source.model} cannot be used: ${messageOf(error)}`);
  }
}

/** A function from texts to vectors, LangChain embeddings, or a promise of either. */
async function fromFile(source: ExportSource): Promise<Embedder> {
  const exported = await importExport(source, 'The embedder');
  if (isEmbedder(exported)) return exported;
  if (typeof exported !== 'function') {
    const { file, exportName } = source;
    throw new InvalidInputError(
      `The embedder in ${file} (export "${exportName}") cannot be used: it is neither a function of texts nor LangChain embeddings`,
    );
  }
  const embed = exported as (texts: string[]) => Promise<number[][]> | number[][];
  return {
    embedDocuments: async (texts) => embed(texts),
    embedQuery: async (text) => (await embed([text]))[0] ?? [],
  };
}

async function fromProvider(
  { provider, model }: { provider: string; model: string },
  projectDir: string,
): Promise<Embedder> {
  const name = PACKAGES[provider] ?? `@langchain/${provider.replaceAll('_', '-')}`;
  const module = await importFrom(projectDir, name);
  const classes = Object.entries(module).filter(([key]) => key.endsWith('Embeddings'));
  const wanted = `${provider.replaceAll(/[-_]/g, '')}embeddings`;
  const exact = classes.find(([key]) => key.toLowerCase() === wanted);
  const [, Embeddings] = exact ?? (classes.length === 1 ? classes[0] : undefined) ?? [];
  if (typeof Embeddings !== 'function') throw new Error(`${name} exports no embeddings for "${provider}"`);
  return new (Embeddings as new (fields: { model: string }) => Embedder)({ model });
}

async function importFrom(projectDir: string, name: string): Promise<Record<string, unknown>> {
  let path: string;
  try {
    path = createRequire(join(projectDir, 'package.json')).resolve(name);
  } catch {
    throw new Error(`${name} is not installed: run npm install ${name} in ${projectDir}`);
  }
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const inner = module['default'];
  return typeof inner === 'object' && inner !== null ? { ...module, ...inner } : module;
}

function isEmbedder(value: unknown): value is Embedder {
  return typeof value === 'object' && value !== null && 'embedDocuments' in value && 'embedQuery' in value;
}

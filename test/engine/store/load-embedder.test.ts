import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadEmbedder } from '../../../src/engine/store/load-embedder.ts';

const file = fileURLToPath(new URL('fixtures/embedders.ts', import.meta.url));

describe('an embedder of a file', () => {
  it('may be a function of texts', async () => {
    const embedder = await loadEmbedder({ file, exportName: 'lengths' }, '/');
    expect(await embedder.embedDocuments(['a', 'bcd'])).toEqual([[1], [3]]);
    expect(await embedder.embedQuery('ab')).toEqual([2]);
  });

  it('may be LangChain embeddings, also promised', async () => {
    const embedder = await loadEmbedder({ file, exportName: 'promised' }, '/');
    expect(await embedder.embedDocuments(['a'])).toEqual([[1]]);
    expect(await embedder.embedQuery('a')).toEqual([2]);
  });

  it.each([
    ['nothing', 'it is neither a function of texts nor LangChain embeddings'],
    ['missing', 'there is no such export'],
  ])('that is not one is refused by name: %s', async (exportName, reason) => {
    await expect(loadEmbedder({ file, exportName }, '/')).rejects.toThrow(
      `The embedder in ${file} (export "${exportName}") cannot be used: ${reason}`,
    );
  });
});

describe('an embedder of a provider', () => {
  let project: string;
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'baton-embedder-'));
    const embedder = (name: string) =>
      `exports.${name} = class { constructor({ model }) { this.model = model } async embedQuery() { return [this.model] } async embedDocuments() { return [] } };`;
    const packages = {
      '@langchain/cohere': embedder('CohereEmbeddings'),
      '@langchain/openai': embedder('OpenAIEmbeddings') + embedder('AzureOpenAIEmbeddings'),
      '@langchain/google-genai': embedder('GoogleGenerativeAIEmbeddings'),
      '@langchain/groq': 'exports.ChatGroq = class {};',
      '@langchain/mistralai':
        'exports.MistralAIEmbeddings = class { constructor() { throw new Error("no API key") } };',
    };
    for (const [name, text] of Object.entries(packages)) {
      const folder = join(project, 'node_modules', name);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'index.js'), text);
    }
  });
  afterAll(() => rmSync(project, { recursive: true }));

  it.each([['cohere'], ['openai'], ['azure_openai'], ['google_genai'], ['google-genai']])(
    'is made from the project’s own package: %s',
    async (provider) => {
      const embedder = await loadEmbedder({ provider, model: 'm' }, project);
      expect(await embedder.embedQuery('text')).toEqual(['m']);
    },
  );

  it.each([
    ['ollama', /ollama:m cannot be used: @langchain\/ollama is not installed: run npm install @langchain\/ollama in /],
    ['groq', /groq:m cannot be used: @langchain\/groq exports no embeddings for "groq"/],
    ['mistralai', /mistralai:m cannot be used: no API key/],
  ])('that cannot be made is refused by name: %s', async (provider, message) => {
    await expect(loadEmbedder({ provider, model: 'm' }, project)).rejects.toThrow(message);
  });
});

import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { graph } from '../../../graphs/invoice/graph.ts';

test('langgraph.json names a compiled graph that shows its way back and its input', async () => {
  const config = await readFile(new URL('../../../langgraph.json', import.meta.url), 'utf8');
  expect(config).toContain('./graphs/invoice/graph.ts:graph');
  const { edges } = await graph.getGraphAsync();
  const edgesOf = (source: string): string[] =>
    edges.filter((edge) => edge.source === source).map(({ target }) => target);
  expect(edgesOf('check')).toEqual(['extract', 'ask_person', 'classify']);
  expect(edgesOf('ask_person')).toEqual(['check', 'classify', '__end__']);
});

test('a run without a document fails with a line that says what to give', async () => {
  await expect(graph.invoke({})).rejects.toThrow('start the run with {"document"');
});

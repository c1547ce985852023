import { MemorySaver } from '@langchain/langgraph';
import { expect, test } from 'vitest';
import { buildInvoiceGraph } from '../../../graphs/invoice/build.ts';
import { samples } from '../../../graphs/invoice/fixtures/samples.ts';
import type { Invoice } from '../../../graphs/invoice/invoice.ts';
import { openServices } from '../../../graphs/invoice/services/open-services.ts';

/** The real reading: the committed PDFs, text layer or OCR, and the chat client over HTTP. Only the ledger is left out. */
const services = { ...openServices({}), post: async () => ({ invoice_id: 1, already_posted: false }) };

const readings = new Map<string, ReturnType<typeof readOnce>>();

/** The last state of a run over the document, which is read once for all tests. */
function read(name: string): ReturnType<typeof readOnce> {
  const reading = readings.get(name) ?? readOnce(name);
  readings.set(name, reading);
  return reading;
}

async function readOnce(name: string) {
  const graph = buildInvoiceGraph(services).compile({ checkpointer: new MemorySaver() });
  const config = { configurable: { thread_id: name } };
  await graph.invoke({ document: `disk:${name}.pdf` }, config);
  return graph.getState(config);
}

/** How many letters two texts of one length differ in. */
function misreadLetters(text: string, truth: string): number {
  return text.length === truth.length
    ? Array.from(text).filter((letter, index) => letter !== truth[index]).length
    : Infinity;
}

const withoutDescriptions = (invoice: Invoice): Invoice => ({
  ...invoice,
  lines: invoice.lines.map((line) => ({ ...line, description: '' })),
});

test.each(samples().filter(({ scan }) => !scan))('$name is read from its text, letter by letter', async (sample) => {
  const { values } = await read(sample.name);
  expect(values).toMatchObject({ text_source: 'text_layer', invoice: sample.truth.invoice });
});

test.each(samples().filter(({ scan }) => scan))(
  '$name is read by OCR, every number right',
  { timeout: 120_000 },
  async ({ name, truth }) => {
    const { values } = await read(name);
    expect(values.text_source).toBe('ocr');
    expect(withoutDescriptions(values.invoice)).toEqual(withoutDescriptions(truth.invoice));
    for (const [index, line] of truth.invoice.lines.entries()) {
      expect(misreadLetters(values.invoice.lines[index].description, line.description)).toBeLessThanOrEqual(1);
    }
  },
);

test.each(samples().filter(({ truth }) => truth.adds_up))('$name is booked', async ({ name, truth }) => {
  const { values } = await read(name);
  expect(values.booked_lines.map(({ account }: { account: string }) => account)).toEqual(truth.accounts);
  expect(values.outcome).toMatchObject({ status: 'posted', model: 'simulated (aimock)' });
});

test.each(samples().filter(({ truth }) => !truth.adds_up))('$name is shown to a person', async ({ name }) => {
  expect((await read(name)).next).toEqual(['ask_person']);
});

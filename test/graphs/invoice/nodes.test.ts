import { fakeModel } from '@langchain/core/testing';
import { MemorySaver, Overwrite } from '@langchain/langgraph';
import { describe, expect, test } from 'vitest';
import { buildInvoiceGraph } from '../../../graphs/invoice/build.ts';
import { check } from '../../../graphs/invoice/nodes/check.ts';
import { classify } from '../../../graphs/invoice/nodes/classify.ts';
import { extract } from '../../../graphs/invoice/nodes/extract.ts';
import { fetchDocument, sha256 } from '../../../graphs/invoice/nodes/fetch-document.ts';
import { post } from '../../../graphs/invoice/nodes/post.ts';
import { readText } from '../../../graphs/invoice/nodes/read-text.ts';
import { answering, INVOICE, PDF, world } from './fakes.ts';

const document = 'disk:a.pdf';
const file = { bytes: PDF.byteLength, sha256: sha256(PDF) };

describe('fetch_document', () => {
  test('keeps size and hash of the document, not its bytes, and clears the thread', async () => {
    const update = await fetchDocument({ readDocument: async () => PDF })({ document });
    expect(update).toMatchObject({ file, attempts: 0, problems: [], outcome: null, usage: new Overwrite([]) });
    expect(JSON.stringify(update)).not.toContain('%PDF');
  });

  test('says how to name a document when none was named', async () => {
    await expect(fetchDocument(world('').services)({ document: '' })).rejects.toThrow('{"document": "disk:FILE.pdf"}');
  });

  test('refuses what is not a PDF', async () => {
    const node = fetchDocument({ readDocument: async () => new TextEncoder().encode('<html>') });
    await expect(node({ document })).rejects.toThrow('"disk:a.pdf" is not a PDF');
  });
});

describe('read_text', () => {
  test('takes the text layer and leaves the OCR alone', async () => {
    const { services, calls } = world('some text');
    expect(await readText(services)({ document, file })).toMatchObject({
      text: 'some text',
      text_source: 'text_layer',
    });
    expect(calls.scanPages).toBe(0);
  });

  test('scans when a page has no text', async () => {
    const { services } = world('scanned text', { scanned: true });
    expect(await readText(services)({ document, file })).toEqual({
      text: 'scanned text',
      text_source: 'ocr',
      ocr_confidence: 91,
    });
  });

  test('refuses a document that changed since it was fetched', async () => {
    const { services } = world('text');
    const changed = { ...file, sha256: sha256(new Uint8Array()) };
    await expect(readText(services)({ document, file: changed })).rejects.toThrow('changed after it was fetched');
  });
});

describe('extract', () => {
  const state = { text: 'the text', invoice: INVOICE, problems: [], attempts: 0 };

  test('returns the invoice, the name of the model and what it cost', async () => {
    const update = await extract({ model: answering(INVOICE) })(state);
    expect(update).toEqual({
      invoice: INVOICE,
      model: 'fake-model',
      attempts: 1,
      usage: [{ node: 'extract', model: 'fake-model', input_tokens: 1000, output_tokens: 200, cost_usd: 0.00027 }],
    });
  });

  test('says what is wrong when the model answers another shape', async () => {
    const node = extract({ model: answering({ supplier: 'only this' }) });
    await expect(node(state)).rejects.toThrow('fake-model answered something that is no invoice');
  });

  test('hands a failure of the model on', async () => {
    const chat = fakeModel();
    chat.withStructuredOutput = () => chat.alwaysThrow(new Error('rate limit')) as never;
    await expect(extract({ model: async () => ({ chat, name: 'fake-model' }) })(state)).rejects.toThrow('rate limit');
  });
});

describe('check', () => {
  test('finds nothing in an invoice that adds up', () => {
    expect(check({ invoice: INVOICE })).toEqual({ problems: [] });
  });

  test('allows for the rounding of printed unit prices', () => {
    const lines = [{ description: 'Screws', quantity: 3000, unit_price: 0.02, amount: 50 }];
    expect(check({ invoice: { ...INVOICE, lines } })).toEqual({ problems: [] });
  });

  test('names each sum that is wrong', () => {
    const [paper, courier] = INVOICE.lines;
    const invoice = { ...INVOICE, lines: [{ ...paper!, amount: 54 }, courier!], total: 70 };
    expect(check({ invoice }).problems).toEqual([
      'line 1 (Copy paper A4): 10 x 4.50 is 45.00, but its amount says 54.00',
      'the lines add up to 59.00, but the subtotal says 50.00',
      'subtotal and tax make 60.00, but the total says 70.00',
    ]);
  });

  test('names each field that is missing or no date', () => {
    const invoice = {
      ...INVOICE,
      supplier: ' ',
      number: '',
      issue_date: '2026-02-30',
      due_date: 'soon',
      currency: '€',
    };
    expect(check({ invoice }).problems).toEqual([
      'the supplier is missing',
      'the invoice number is missing',
      'the issue date "2026-02-30" is no date of the form YYYY-MM-DD',
      'the due date "soon" is no date of the form YYYY-MM-DD',
      'the currency "€" is no ISO code',
    ]);
  });
});

describe('ask_person', () => {
  test('interrupts with the document, the problems and the extracted data', async () => {
    const graph = buildInvoiceGraph(world('').services).compile({ checkpointer: new MemorySaver() });
    const config = { configurable: { thread_id: 'person' } };
    await graph.updateState(
      config,
      { document, invoice: INVOICE, problems: ['odd'], attempts: 3, model: 'm' },
      'check',
    );
    await graph.invoke(null, config);
    const { next, tasks } = await graph.getState(config);
    expect(next).toEqual(['ask_person']);
    expect(tasks[0]?.interrupts[0]?.value).toMatchObject({
      document,
      problems: ['odd'],
      invoice: INVOICE,
      model: 'm',
      complaint: null,
    });
  });
});

describe('classify', () => {
  test('books each line on the account that the model chose', async () => {
    const assignments = [
      { line: 2, account: '6700' },
      { line: 1, account: '6400' },
    ];
    const update = await classify({ model: answering({ assignments }) })({ invoice: INVOICE });
    expect(update.booked_lines?.map(({ account }) => account)).toEqual(['6400', '6700']);
    expect(update.usage).toMatchObject([{ node: 'classify', input_tokens: 1000 }]);
  });

  test('fails when a line was left out', async () => {
    const node = classify({ model: answering({ assignments: [{ line: 1, account: '6400' }] }) });
    await expect(node({ invoice: INVOICE })).rejects.toThrow('gave line 2 no account');
  });

  test('fails when the model invents an account', async () => {
    const node = classify({ model: answering({ assignments: [{ line: 1, account: '1' }] }) });
    await expect(node({ invoice: INVOICE })).rejects.toThrow('no ledger_accounts');
  });
});

describe('post', () => {
  test('reports where it was posted, by whom it was read and the money spent', async () => {
    const { services, posted } = world('');
    const lines = INVOICE.lines.map((line) => ({ ...line, account: '6400' }));
    const usage = { node: 'extract', model: 'm', input_tokens: 1, output_tokens: 1, cost_usd: 0.1 };
    const update = await post(services)({
      document,
      invoice: INVOICE,
      booked_lines: lines,
      model: 'm',
      usage: [usage, { ...usage, cost_usd: 0.2 }],
    });
    expect(posted).toEqual([{ document, invoice: INVOICE, lines }]);
    expect(update.outcome).toEqual({
      status: 'posted',
      invoice_id: 1,
      already_posted: false,
      reason: null,
      model: 'm',
      cost_usd: 0.3,
    });
  });
});

import { Command, isInterrupted, INTERRUPT, MemorySaver } from '@langchain/langgraph';
import { expect, test } from 'vitest';
import { buildInvoiceGraph } from '../../../graphs/invoice/build.ts';
import type { InvoiceServices } from '../../../graphs/invoice/services.ts';
import { GOOD_PAGE, page, world } from './fakes.ts';

const config = { configurable: { thread_id: 'a' } };
const input = { document: 'disk:a.pdf' };
const WRONG_TOTAL = page(['Copy paper A4 10 4.50 45.00', 'Courier delivery 1 5.00 5.00'], { total: '70.00' });

function compile(services: InvoiceServices) {
  return buildInvoiceGraph(services).compile({ checkpointer: new MemorySaver() });
}

/** The nodes that ran, in their order. */
async function nodesOf(graph: ReturnType<typeof compile>, argument: Parameters<typeof graph.stream>[0]) {
  const nodes: string[] = [];
  for await (const update of await graph.stream(argument, { ...config, streamMode: 'updates' })) {
    nodes.push(...Object.keys(update).filter((name) => name !== INTERRUPT));
  }
  return nodes;
}

/** Runs an invoice whose total is wrong up to the person's turn. */
async function upToThePerson() {
  const { services, posted } = world(WRONG_TOTAL);
  const graph = compile(services);
  const result = await graph.invoke(input, config);
  if (!isInterrupted<{ complaint: string | null }>(result)) throw new Error('nobody was asked');
  return { graph, posted, result };
}

test('an invoice that adds up goes straight to the ledger', async () => {
  const { services, posted } = world(GOOD_PAGE);
  const graph = compile(services);
  expect(await nodesOf(graph, input)).toEqual(['fetch_document', 'read_text', 'extract', 'check', 'classify', 'post']);
  const { values } = await graph.getState(config);
  expect(values.outcome).toMatchObject({ status: 'posted', model: 'simulated (aimock)' });
  expect(values.outcome.cost_usd).toBeGreaterThan(0);
  expect(posted[0]?.lines.map(({ account }) => account)).toEqual(['6400', '6700']);
});

test('the check sends a missed charge back to extraction, with the reason', async () => {
  const { services, posted } = world(page(['Copy paper A4 10 4.50 45.00', 'Small order fee 5.00']));
  const graph = compile(services);
  expect(await nodesOf(graph, input)).toEqual([
    'fetch_document',
    'read_text',
    'extract',
    'check',
    'extract',
    'check',
    'classify',
    'post',
  ]);
  expect(posted[0]?.invoice.lines).toMatchObject([{ amount: 45 }, { description: 'Small order fee', amount: 5 }]);
  const { values } = await graph.getState(config);
  expect(values.usage.map(({ node }: { node: string }) => node)).toEqual(['extract', 'extract', 'classify']);
});

test('after two corrections a person is asked', async () => {
  const graph = compile(world(WRONG_TOTAL).services);
  const nodes = await nodesOf(graph, input);
  expect(nodes.filter((node) => node === 'extract')).toHaveLength(3);
  expect((await graph.getState(config)).tasks[0]?.interrupts[0]?.value).toMatchObject({
    document: 'disk:a.pdf',
    problems: ['subtotal and tax make 60.00, but the total says 70.00'],
    invoice: { total: 70 },
  });
});

test('the person approves: it is posted as it was printed', async () => {
  const { graph, posted } = await upToThePerson();
  expect(await nodesOf(graph, new Command({ resume: { approve: true } }))).toEqual(['ask_person', 'classify', 'post']);
  expect(posted[0]?.invoice.total).toBe(70);
});

test('the person corrects: the check runs again, then it is posted', async () => {
  const { graph, posted } = await upToThePerson();
  const nodes = await nodesOf(graph, new Command({ resume: { total: 60 } }));
  expect(nodes).toEqual(['ask_person', 'check', 'classify', 'post']);
  expect(posted[0]?.invoice.total).toBe(60);
});

test('a correction that does not add up is asked about again, not read again', async () => {
  const { graph, posted } = await upToThePerson();
  expect(await nodesOf(graph, new Command({ resume: { total: 61 } }))).toEqual(['ask_person', 'check']);
  expect((await graph.getState(config)).next).toEqual(['ask_person']);
  expect(posted).toEqual([]);
});

test('the person rejects: nothing is posted', async () => {
  const { graph, posted } = await upToThePerson();
  const { outcome } = await graph.invoke(new Command({ resume: { reject: 'not ours' } }), config);
  expect(outcome).toMatchObject({ status: 'rejected', reason: 'not ours', invoice_id: null });
  expect(posted).toEqual([]);
});

test('an answer that is not understood is asked for again', async () => {
  const { graph, posted } = await upToThePerson();
  const again = await graph.invoke(new Command({ resume: { approve: 'maybe' } }), config);
  expect(isInterrupted<{ complaint: string }>(again) && again[INTERRUPT][0]?.value?.complaint).toContain('approve');
  await graph.invoke(new Command({ resume: { approve: true } }), config);
  expect(posted).toHaveLength(1);
});

test('what the ledger could not store cannot be approved', async () => {
  const { services, posted } = world(GOOD_PAGE.replace('4 May 2026', 'yesterday'));
  const graph = compile(services);
  await graph.invoke(input, config);
  const again = await graph.invoke(new Command({ resume: { approve: true } }), config);
  expect(isInterrupted<{ complaint: string }>(again) && again[INTERRUPT][0]?.value?.complaint).toContain('issue date');
  await graph.invoke(new Command({ resume: { issue_date: '2026-05-04' } }), config);
  expect(posted).toHaveLength(1);
});

test('a failed posting is tried again without a second OCR or extraction', async () => {
  const { services, calls } = world(GOOD_PAGE, { scanned: true });
  let fail = true;
  const graph = compile({
    ...services,
    post: async (posting) => {
      if (fail) throw new Error('the ledger is down');
      return services.post(posting);
    },
  });
  await expect(graph.invoke(input, config)).rejects.toThrow('the ledger is down');
  fail = false;
  expect(await nodesOf(graph, null)).toEqual(['post']);
  expect(calls).toEqual({ scanPages: 1, post: 1 });
});

test('a second document on the same thread starts from nothing', async () => {
  const { services } = world(GOOD_PAGE);
  const graph = compile(services);
  await graph.invoke(input, config);
  const { attempts, usage, document } = await graph.invoke({ document: 'disk:b.pdf' }, config);
  expect({ attempts, calls: usage.length, document }).toEqual({ attempts: 1, calls: 2, document: 'disk:b.pdf' });
});

test('the bytes of the PDF are in no checkpoint', async () => {
  const graph = compile(world(GOOD_PAGE).services);
  await graph.invoke(input, config);
  for await (const { values } of graph.getStateHistory(config)) expect(JSON.stringify(values)).not.toContain('%PDF');
});

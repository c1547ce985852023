import { END, START, StateGraph } from '@langchain/langgraph';
import { askPerson } from './nodes/ask-person.ts';
import { check } from './nodes/check.ts';
import { classify } from './nodes/classify.ts';
import { extract } from './nodes/extract.ts';
import { fetchDocument } from './nodes/fetch-document.ts';
import { post } from './nodes/post.ts';
import { readText } from './nodes/read-text.ts';
import type { InvoiceServices } from './services.ts';
import { InvoiceInput, InvoiceState } from './state.ts';

/** The first reading and two corrections. */
const MAX_EXTRACTIONS = 3;

/** The wiring of the pipeline, uncompiled: who compiles it chooses where its state is kept. */
export function buildInvoiceGraph(services: InvoiceServices) {
  return new StateGraph({ state: InvoiceState, input: InvoiceInput })
    .addNode('fetch_document', fetchDocument(services))
    .addNode('read_text', readText(services))
    .addNode('extract', extract(services))
    .addNode('check', check)
    .addNode('ask_person', askPerson)
    .addNode('classify', classify(services))
    .addNode('post', post(services))
    .addEdge(START, 'fetch_document')
    .addEdge('fetch_document', 'read_text')
    .addEdge('read_text', 'extract')
    .addEdge('extract', 'check')
    .addConditionalEdges('check', afterCheck, ['extract', 'ask_person', 'classify'])
    .addConditionalEdges('ask_person', afterPerson, ['check', 'classify', END])
    .addEdge('classify', 'post')
    .addEdge('post', END);
}

function afterCheck({ problems, attempts }: InvoiceState) {
  if (problems.length === 0) return 'classify';
  return attempts < MAX_EXTRACTIONS ? 'extract' : 'ask_person';
}

function afterPerson({ decision }: InvoiceState) {
  if (decision === 'rejected') return END;
  return decision === 'approved' ? 'classify' : 'check';
}

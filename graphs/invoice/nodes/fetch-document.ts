import { createHash } from 'node:crypto';
import { Overwrite } from '@langchain/langgraph';
import type { InvoiceServices } from '../services.ts';
import type { InvoiceState, InvoiceUpdate } from '../state.ts';

/** Makes sure that the document is there, and clears what an earlier document of the thread left behind. */
export function fetchDocument(services: Pick<InvoiceServices, 'readDocument'>) {
  return async ({ document }: Pick<InvoiceState, 'document'>): Promise<InvoiceUpdate> => {
    if (!document) throw new Error('No document was named: start the run with {"document": "disk:FILE.pdf"}.');
    const pdf = await services.readDocument(document);
    if (Buffer.from(pdf.subarray(0, 1024)).indexOf('%PDF-') === -1) {
      throw new Error(`"${document}" is not a PDF: its first bytes do not say "%PDF-".`);
    }
    return {
      file: { bytes: pdf.byteLength, sha256: sha256(pdf) },
      ocr_confidence: null,
      attempts: 0,
      problems: [],
      decision: null,
      booked_lines: [],
      usage: new Overwrite([]),
      outcome: null,
    };
  };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

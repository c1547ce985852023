import type { LangGraphRunnableConfig } from '@langchain/langgraph';
import type { InvoiceServices } from '../services.ts';
import type { InvoiceState, InvoiceUpdate } from '../state.ts';
import { sha256 } from './fetch-document.ts';

const PAGE_BREAK = '\n\f\n';

/** The cheap way first: a scan is read only when a page has no text of its own. */
export function readText(services: Pick<InvoiceServices, 'readDocument' | 'textLayer' | 'scanPages'>) {
  return async (
    { document, file }: Pick<InvoiceState, 'document' | 'file'>,
    { signal }: LangGraphRunnableConfig = {},
  ): Promise<InvoiceUpdate> => {
    const pdf = await services.readDocument(document);
    if (sha256(pdf) !== file.sha256) {
      throw new Error(`"${document}" changed after it was fetched: start a new run for the new document.`);
    }
    const layer = await services.textLayer(pdf);
    if (layer.every((page) => page.trim() !== '')) {
      return { text: layer.join(PAGE_BREAK), text_source: 'text_layer', ocr_confidence: null };
    }
    const { pages, confidence } = await services.scanPages(pdf, signal);
    return { text: pages.join(PAGE_BREAK), text_source: 'ocr', ocr_confidence: confidence };
  };
}

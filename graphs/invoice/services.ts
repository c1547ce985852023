import type { BaseChatModel } from '@langchain/core/language_models/chat_models';
import type { BookedLine, Invoice } from './invoice.ts';

/** The outside world of the pipeline. `graph.ts` plugs in the real one, a test its own. */
export interface InvoiceServices {
  /** The bytes of a document in the bucket, by reference. */
  readDocument(reference: string): Promise<Uint8Array>;
  /** The text that a PDF carries, one string a page, empty for a scanned page. */
  textLayer(pdf: Uint8Array): Promise<string[]>;
  /** Optical character recognition. Takes seconds a page. */
  scanPages(pdf: Uint8Array, signal?: AbortSignal): Promise<ScannedText>;
  /** Called in each node that asks a model, so that nothing is started before it is needed. */
  model(): Promise<InvoiceModel>;
  /** Writes the invoice and its lines once, however often it is called for one supplier and number. */
  post(posting: Posting): Promise<PostResult>;
}

export interface ScannedText {
  pages: string[];
  /** Of the worst page, 0-100. */
  confidence: number;
}

export interface InvoiceModel {
  chat: BaseChatModel;
  /** What a reader of a result is told: a model's name, or "simulated (aimock)". */
  name: string;
}

export interface Posting {
  document: string;
  invoice: Invoice;
  lines: BookedLine[];
}

export interface PostResult {
  invoice_id: number;
  already_posted: boolean;
}

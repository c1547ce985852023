import { fileURLToPath } from 'node:url';
import type { InvoiceServices } from '../services.ts';
import { chatModel } from './chat-model.ts';
import { diskBucket } from './disk-bucket.ts';
import { PageScanner } from './page-scanner.ts';
import { PostgresLedger } from './postgres-ledger.ts';
import { textLayer } from './text-layer.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The real world, by environment variable: OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL choose the model,
 * INVOICE_BUCKET the folder of the documents, INVOICE_DATABASE_URL the database that is posted to (by default the one
 * that Baton runs on). Nothing is opened before a node needs it, and the variables are read then.
 */
export function openServices(environment: Environment): InvoiceServices {
  const scanner = new PageScanner();
  const lazy = once(() => ({
    model: chatModel({
      apiKey: environment['OPENAI_API_KEY'],
      baseUrl: environment['OPENAI_BASE_URL'],
      model: environment['OPENAI_MODEL'],
      simulatedLatencyMs: Number(environment['INVOICE_MODEL_LATENCY_MS'] ?? 0),
    }),
    readDocument: diskBucket(environment['INVOICE_BUCKET'] ?? fileURLToPath(new URL('../fixtures', import.meta.url))),
    ledger: new PostgresLedger(
      environment['INVOICE_DATABASE_URL'] ?? environment['BATON_DATABASE_URL_IN_USE'] ?? environment['DATABASE_URL'],
    ),
  }));
  return {
    readDocument: (reference) => lazy().readDocument(reference),
    textLayer,
    scanPages: (pdf, signal) => scanner.read(pdf, signal),
    model: () => lazy().model(),
    post: (posting) => lazy().ledger.post(posting),
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

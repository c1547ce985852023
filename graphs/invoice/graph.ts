import { buildInvoiceGraph } from './build.ts';
import { openServices } from './services/open-services.ts';

/** What langgraph.json names. Baton adds the place where the state is kept. */
export const graph = buildInvoiceGraph(openServices(process.env)).compile();

import type { Socket } from 'node:net';
import { createServer, type ChatCompletionRequest, type FixtureResponse } from '@copilotkit/aimock';
import { assignAccounts } from './assign-accounts.ts';
import { readInvoice } from './read-invoice.ts';

/**
 * A model without a model: an OpenAI-compatible server on this machine that answers by rules. It reads what it is
 * sent, so a bad scan gives bad answers. It never keeps a process alive, and ends with it.
 */
export async function startSimulatedModel({ latencyMs = 0 } = {}): Promise<{ url: string }> {
  const answers = [{ match: { predicate: () => true }, response: answer }];
  const chaos = latencyMs > 0 ? { chaos: { latencyMs } } : {};
  const { server, url } = await createServer(answers, { host: '127.0.0.1', port: 0, journalMaxEntries: 1, ...chaos });
  server.unref();
  server.on('connection', (socket: Socket) => socket.unref());
  return { url };
}

function answer(request: ChatCompletionRequest): FixtureResponse {
  const prompt = request.messages.findLast(({ role }) => role === 'user')?.content;
  const rules = { invoice: readInvoice, ledger_accounts: assignAccounts }[schemaName(request)];
  if (!rules || typeof prompt !== 'string')
    return { error: { message: 'The simulated model has no rules for this question.' }, status: 400 };
  return { content: JSON.stringify(rules(prompt)) };
}

function schemaName({ response_format: format }: ChatCompletionRequest): string {
  return (format?.['json_schema'] as { name?: string } | undefined)?.name ?? '';
}

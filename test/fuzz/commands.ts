import { z } from 'zod';
import { sendParams, taskParams } from '../../src/api/a2a/schemas.ts';
import * as protocol from '../../src/api/protocol/schemas.ts';
import type { Schema } from '../api/fixtures/operations.ts';

const jsonSchema = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema;

/** What JSON-RPC and its like carry, which the document leaves to their own protocols. */
const COMMANDS: Record<string, Record<string, z.ZodType>> = {
  'POST /threads/{thread_id}/commands': {
    'run.start': protocol.runStart,
    'input.respond': z.union([protocol.respondOne, protocol.respondMany]),
    'input.inject': z.unknown(),
    'state.get': protocol.stateGet,
    'state.listCheckpoints': protocol.listCheckpoints,
    'state.fork': protocol.stateFork,
    'agent.getTree': protocol.getTree,
    'subscription.subscribe': protocol.subscribe,
    'subscription.unsubscribe': protocol.unsubscribe,
    'subscription.reconnect': z.unknown(),
  },
  'POST /a2a/{assistant_id}': {
    'message/send': sendParams,
    'message/stream': sendParams,
    'tasks/get': taskParams,
    'tasks/cancel': taskParams,
  },
  'POST /mcp': {
    initialize: z.object({
      protocolVersion: z.literal('2025-06-18'),
      capabilities: z.object({}),
      clientInfo: z.object({ name: z.string(), version: z.string() }),
    }),
    'tools/list': z.object({ cursor: z.string().optional() }),
    'tools/call': z.object({
      name: z.enum(['line', 'mirror', 'asking']),
      arguments: z.record(z.string(), z.unknown()),
    }),
    ping: z.object({}),
    'notifications/initialized': z.object({}),
  },
};

/** One for each method of an operation that takes commands; null for all other operations. */
export function rpcSchemas(operation: string): Schema[] | null {
  const methods = COMMANDS[operation];
  if (!methods) return null;
  return Object.entries(methods).map(([method, params]) => ({
    type: 'object',
    properties: {
      jsonrpc: { const: '2.0' },
      id: { type: 'integer', minimum: 0 },
      method: { const: method },
      params: jsonSchema(params),
    },
    required: ['jsonrpc', 'id', 'method', 'params'],
  }));
}

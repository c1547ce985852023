import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema, type CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { Request, Response } from 'express';
import type { Caller } from '../../core/caller.ts';
import { ServiceError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import type { RunError } from '../../core/run.ts';
import type { AssistantTools } from './service.ts';

export interface McpOptions {
  tools: AssistantTools;
  version: string;
  heartbeatMs: number;
  isStopping: () => boolean;
}

/** Answers one request of the Model Context Protocol. Nothing is kept between requests, so any process can answer any. */
export async function answerMcp(
  { req, res, body, caller }: { req: Request; res: Response; body: unknown; caller: Caller },
  { tools, version, heartbeatMs, isStopping }: McpOptions,
): Promise<void> {
  const server = new Server({ name: 'baton', version }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, async () => ({
    tools: (await tools.list(caller)).map(({ name, description, input_schema }) => ({
      name,
      description,
      inputSchema: Object.assign(input_schema, { type: 'object' as const }),
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
    const call = { name: params.name, input: (params.arguments ?? {}) as Json, signal, stays: isStopping };
    try {
      return toResult(await tools.call(caller, call));
    } catch (error) {
      // A refusal is something for the model to read; a fault of ours is not.
      if (!(error instanceof ServiceError))
        throw new Error('Internal error: the server’s log says more', { cause: error });
      return failed(error.message);
    }
  });
  const transport = new StreamableHTTPServerTransport({ keepAliveMs: heartbeatMs });
  res.once('close', () => void server.close());
  await server.connect(transport);
  await transport.handleRequest(req, res, body);
}

function toResult(value: Json): CallToolResult {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isObject && '__error__' in value) {
    const { error, message } = value['__error__'] as unknown as RunError;
    return failed(`${error}: ${message}`);
  }
  return {
    content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }],
    ...(isObject && { structuredContent: value }),
  };
}

function failed(text: string): CallToolResult {
  return { isError: true, content: [{ type: 'text', text }] };
}

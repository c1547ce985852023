import { json } from '../../http/fields.ts';
import { route, type Route } from '../../http/route.ts';
import type { McpOptions } from './mcp-server.ts';

const PATH = '/mcp';

/** Assistants as tools of the Model Context Protocol, by Streamable HTTP without sessions: there is none to be deleted. */
export function mcpRoutes(options: McpOptions): Route[] {
  return [
    route(
      {
        method: 'post',
        path: PATH,
        access: 'known',
        summary: 'Use assistants as tools: the Model Context Protocol',
        description:
          'Streamable HTTP, without sessions. `Accept` must name application/json and text/event-stream. Each assistant is a tool; a call runs it on a thread of its own and answers its values.',
        body: json,
        answer: json,
      },
      async (call) => {
        // Loaded when it is first needed: a server that nobody asks for tools starts without it.
        const { answerMcp } = await import('./mcp-server.ts');
        await answerMcp(call, options);
      },
    ),
    route(
      { method: 'get', path: PATH, access: 'known', summary: 'Refuse a stream from the server', status: 405 },
      async ({ res }) => {
        res.status(405).setHeader('Allow', 'POST');
        res.type('text/plain').send('This server sends nothing by itself: POST requests, and read the answers');
      },
    ),
  ];
}

import { z } from 'zod';
import { InvalidInputError } from '../../core/errors.ts';
import { pick } from '../../http/fields.ts';
import { setPagination } from '../../http/pagination.ts';
import { route, type Route } from '../../http/route.ts';
import type { ThreadService } from '../threads/service.ts';
import * as schemas from './schemas.ts';
import type { AssistantService } from './service.ts';

const ONE = '/assistants/:assistant_id';

export function assistantRoutes(assistants: AssistantService, threads: ThreadService): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/assistants',
        summary: 'Create an assistant: a graph with a configuration',
        body: schemas.assistantCreate,
        answer: schemas.assistant,
      },
      ({ caller, body }) => assistants.create(caller, body),
    ),
    route(
      {
        method: 'post',
        path: '/assistants/search',
        summary: 'Find assistants',
        body: schemas.assistantSearch,
        answer: schemas.assistantList,
      },
      async ({ caller, body, res }) => {
        const found = await assistants.search(caller, body);
        setPagination(res, { offset: found.page.offset, shown: found.assistants.length, total: found.total });
        return found.assistants.map((assistant) => pick(assistant, body.select));
      },
    ),
    route(
      {
        method: 'post',
        path: '/assistants/count',
        summary: 'Count assistants',
        body: schemas.assistantCount,
        answer: z.number(),
      },
      ({ caller, body }) => assistants.count(caller, body),
    ),
    route(
      {
        method: 'get',
        path: ONE,
        summary: 'Get an assistant by its id or by its graph’s',
        params: schemas.assistantPath,
        answer: schemas.assistant,
      },
      ({ caller, params }) => assistants.get(caller, params.assistant_id),
    ),
    route(
      {
        method: 'patch',
        path: ONE,
        summary: 'Change an assistant: makes a new version; metadata is merged',
        params: schemas.assistantPath,
        body: schemas.assistantPatch,
        answer: schemas.assistant,
      },
      ({ caller, params, body }) => assistants.update(caller, params.assistant_id, body),
    ),
    route(
      {
        method: 'delete',
        path: ONE,
        summary: 'Delete an assistant, with `delete_threads` also the threads that it ran on last',
        params: schemas.assistantPath,
        query: schemas.deleteQuery,
        answer: schemas.deleted,
      },
      async ({ caller, params, query }) => {
        const assistantId = await assistants.delete(caller, params.assistant_id);
        if (query.delete_threads === true) await threads.deleteOfAssistant(caller, assistantId);
        return [assistantId];
      },
    ),
    ...versionRoutes(assistants),
    ...graphRoutes(assistants),
  ];
}

function versionRoutes(assistants: AssistantService): Route[] {
  return [
    route(
      {
        method: 'post',
        path: `${ONE}/versions`,
        summary: 'List the versions of an assistant, newest first',
        params: schemas.assistantPath,
        body: schemas.versionSearch,
        answer: schemas.assistantList,
      },
      ({ caller, params, body }) => assistants.versions(caller, params.assistant_id, body),
    ),
    route(
      {
        method: 'post',
        path: `${ONE}/latest`,
        summary: 'Put a version of an assistant in force',
        params: schemas.assistantPath,
        query: schemas.versionQuery,
        body: schemas.versionBody,
        answer: schemas.assistant,
      },
      ({ caller, params, query, body }) => {
        const version = body.version ?? query.version;
        if (version === undefined) throw new InvalidInputError('body.version: is missing');
        return assistants.setLatest(caller, params.assistant_id, version);
      },
    ),
  ];
}

function graphRoutes(assistants: AssistantService): Route[] {
  return [
    route(
      {
        method: 'get',
        path: `${ONE}/graph`,
        summary: 'Draw the graph: its nodes and edges; with `xray` the subgraphs’ too',
        params: schemas.assistantPath,
        query: schemas.graphQuery,
        answer: schemas.graphDrawing,
      },
      ({ caller, params, query }) => assistants.drawing(caller, params.assistant_id, query.xray ?? false),
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/schemas`,
        summary: 'Get the JSON Schemas of what the graph takes, gives and keeps',
        params: schemas.assistantPath,
        answer: schemas.graphSchemas,
      },
      ({ caller, params }) => assistants.schemas(caller, params.assistant_id),
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/subgraphs`,
        summary: 'Get the schemas of the subgraphs by namespace',
        params: schemas.assistantPath,
        query: schemas.subgraphQuery,
        answer: schemas.subgraphSchemas,
      },
      ({ caller, params, query }) =>
        assistants.subgraphs(caller, params.assistant_id, { recurse: query.recurse ?? false }),
    ),
    route(
      {
        method: 'get',
        path: `${ONE}/subgraphs/:namespace`,
        summary: 'Get the schemas of one subgraph',
        params: schemas.subgraphPath,
        query: schemas.subgraphQuery,
        answer: schemas.subgraphSchemas,
      },
      ({ caller, params, query }) =>
        assistants.subgraphs(caller, params.assistant_id, {
          namespace: params.namespace,
          recurse: query.recurse ?? false,
        }),
    ),
  ];
}

import { route, type Route } from '../../http/route.ts';
import * as schemas from './schemas.ts';
import type { StoreService } from './service.ts';

export function storeRoutes(store: StoreService): Route[] {
  return [
    route(
      {
        method: 'put',
        path: '/store/items',
        summary: 'Store an item, in the place of the one that has its namespace and key',
        body: schemas.itemPut,
      },
      ({ caller, body }) => store.put(caller, body),
    ),
    route(
      {
        method: 'get',
        path: '/store/items',
        summary: 'Get an item, or null',
        query: schemas.itemQuery,
        answer: schemas.itemOrNull,
      },
      ({ caller, query }) => store.get(caller, query),
    ),
    route(
      {
        method: 'delete',
        path: '/store/items',
        summary: 'Delete an item, if there is one',
        body: schemas.itemDelete,
      },
      ({ caller, body }) => store.delete(caller, body),
    ),
    route(
      {
        method: 'post',
        path: '/store/items/search',
        summary: 'Find the items below a namespace, the latest first, or with an index those most like the query',
        description:
          'The filter takes values of fields, and $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists. ' +
          'Without `store.index` in langgraph.json the query is passed over.',
        body: schemas.itemSearch,
        answer: schemas.foundItems,
      },
      async ({ caller, body }) => ({ items: await store.search(caller, body) }),
    ),
    route(
      {
        method: 'post',
        path: '/store/namespaces',
        summary: 'List the namespaces that hold items; `*` in prefix and suffix stands for any one label',
        body: schemas.namespaceSearch,
        answer: schemas.foundNamespaces,
      },
      async ({ caller, body }) => ({ namespaces: await store.namespaces(caller, body) }),
    ),
  ];
}

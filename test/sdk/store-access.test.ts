import { Client } from '@langchain/langgraph-sdk';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { testServer, type TestServer } from './fixtures/test-server.ts';

const file = fileURLToPath(new URL('fixtures/store-auth.ts', import.meta.url));
let server: TestServer;
afterEach(() => server.stop());

/** The stores of two users of a server whose project decides by that export. */
async function users(exportName: string) {
  server = await testServer({ stateUrl: 'memory:', worker: false, auth: { project: { file, exportName } } });
  const of = (user: string) =>
    new Client({
      apiUrl: server.url,
      apiKey: null,
      callerOptions: { maxRetries: 0 },
      defaultHeaders: { 'x-user': user },
    }).store;
  return { ada: of('ada'), ben: of('ben'), nobody: of('') };
}

describe('an item of somebody else’s', () => {
  it('is as if it did not exist, where the value names its owner', async () => {
    const { ada, ben, nobody } = await users('byOwner');
    await ada.putItem(['shared', 'ada'], 'k', { owner: 'ada', secret: 1 });
    await ben.putItem(['shared', 'ben'], 'k', { owner: 'ben' });

    expect(await ben.getItem(['shared', 'ada'], 'k')).toBeNull();
    expect((await ben.searchItems(['shared'])).items.map((item) => item.namespace)).toEqual([['shared', 'ben']]);
    expect((await ben.searchItems([], { filter: { secret: 1 } })).items).toEqual([]);
    expect((await ben.listNamespaces()).namespaces).toEqual([['shared', 'ben']]);
    const refusals = await Promise.all(
      ['ada', 'nowhere'].map((place) => ben.deleteItem(['shared', place], 'k').catch((error: Error) => error.message)),
    );
    expect(refusals[0]).toMatch(/404/);
    expect(refusals[0]).toBe(refusals[1]);
    await expect(ben.putItem(['shared', 'ada'], 'k', { owner: 'ben' })).rejects.toThrow(/404/);
    await expect(ben.putItem(['shared', 'new'], 'k', { owner: 'ada' })).rejects.toThrow(/403/);
    await expect(nobody.getItem(['shared', 'ada'], 'k')).rejects.toThrow(/401/);

    expect(await ada.getItem(['shared', 'ada'], 'k')).toMatchObject({ value: { owner: 'ada', secret: 1 } });
    await ada.deleteItem(['shared', 'ada'], 'k');
    expect(await ada.getItem(['shared', 'ada'], 'k')).toBeNull();
  });

  it('is out of reach where the handler moves everybody into a namespace of his own', async () => {
    const { ada, ben } = await users('byNamespace');
    await ada.putItem(['notes'], 'k', { of: 'ada' });
    await ben.putItem(['notes'], 'k', { of: 'ben' });
    for (const [name, store] of Object.entries({ ada, ben })) {
      expect((await store.getItem(['notes'], 'k'))?.value).toEqual({ of: name });
      expect((await store.searchItems(['notes'])).items.map((item) => item.value)).toEqual([{ of: name }]);
      expect((await store.searchItems([])).items).toHaveLength(1);
      expect((await store.listNamespaces()).namespaces).toEqual([[name, 'notes']]);
    }
    await ben.deleteItem(['notes'], 'k');
    expect(await ada.getItem(['notes'], 'k')).not.toBeNull();
  });

  it('is out of reach where the namespace has to name the user', async () => {
    const { ada, ben } = await users('byLabel');
    await ada.putItem(['team', 'ada'], 'k', {});
    await ada.putItem(['team', 'ada', 'ben'], 'k', {});
    await expect(ben.putItem(['team', 'ada'], 'k', {})).rejects.toThrow(/403|404/);
    expect((await ben.searchItems(['team'])).items.map((item) => item.namespace)).toEqual([['team', 'ada', 'ben']]);
    expect((await ben.listNamespaces({ prefix: ['team'] })).namespaces).toEqual([['team', 'ada', 'ben']]);
    expect(await ben.getItem(['team', 'ada'], 'k')).toBeNull();
  });
});

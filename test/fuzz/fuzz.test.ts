import { expect, it } from 'vitest';
import { fuzz } from './fuzz.ts';
import { fuzzServer } from './server.ts';
import { fuzzSocket } from './socket.ts';

// The same requests each time: a gate must not fail for what nobody changed. `npm run fuzz` looks for new ones.
const SEED = 1;

it.each([
  ['plain', 1100],
  ['guarded', 400],
] as const)(
  'no malformed request is a way to an internal error: %s',
  async (kind, requests) => {
    const server = await fuzzServer(kind);
    const { faults, statuses } = await fuzz({ ...server, seed: SEED, requests });
    const bySocket = await fuzzSocket({ ...server, seed: SEED, requests: requests / 5 });
    await server.stop();
    expect([...faults, ...bySocket, ...server.complaints]).toEqual([]);
    // Most got as far as to be looked at.
    expect(statuses['200']).toBeGreaterThan(requests / 5);
    expect(statuses['422']).toBeGreaterThan(requests / 5);
  },
  60_000,
);

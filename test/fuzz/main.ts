import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { setup, teardown } from '../global-setup.ts';
import { fuzz } from './fuzz.ts';
import { fuzzServer } from './server.ts';
import { fuzzSocket } from './socket.ts';

/** `npm run fuzz -- --requests 20000 --seed 1`: the long form of the test, with another seed each time. */
const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
  },
});
const faults: string[] = [];
const complain = (error: unknown) => faults.push(error instanceof Error ? String(error.stack) : String(error));
process.on('uncaughtException', complain).on('unhandledRejection', complain);

await setup();
for (const kind of ['plain', 'guarded'] as const) {
  const startedAt = performance.now();
  const server = await fuzzServer(kind);
  const options = { ...server, seed: Number(values.seed), requests: Number(values.requests) };
  const result = await fuzz(options);
  faults.push(...(await fuzzSocket({ ...options, requests: options.requests / 5 })));
  await server.stop();
  faults.push(...result.faults, ...server.complaints);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(`${kind}, seed ${values.seed}, ${values.requests} requests in ${seconds} s:`, result.statuses);
}
await teardown();
for (const fault of faults) console.error(fault);
console.log(`${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;

/** One file a question: `npm run bench -- NAME`. Each prints one table, of figures measured side by side in one run. */
const BENCHES: Record<string, () => Promise<void>> = {
  api: async () => (await import('./api.ts')).benchApi(),
  durability: async () => (await import('./durability.ts')).benchDurability(),
  growth: async () => (await import('./growth.ts')).benchGrowth(),
  saver: async () => (await import('./saver.ts')).benchSaver(),
  store: async () => (await import('./store.ts')).benchStore(),
  wait: async () => (await import('./wait.ts')).benchWait(),
  schemas: async () => (await import('./schemas.ts')).benchSchemas(),
};

const name = process.argv[2] ?? '';
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
if (bench === undefined) {
  console.error(`npm run bench -- NAME, where NAME is one of: ${Object.keys(BENCHES).join(', ')}`);
  process.exitCode = 1;
} else {
  await bench();
}

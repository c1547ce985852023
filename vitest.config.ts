import { defineConfig } from 'vitest/config';

/** Whole processes that are started and killed take their time: vitest.processes.config.ts. */
export const PROCESSES = [
  'test/cli/**/*.test.ts',
  'test/crash/**/*.test.ts',
  'test/database/{embedded,kept-postgres}.test.ts',
];

export default defineConfig({
  // `batonjs/sdk` means the source in a checkout, as the `baton` command has it.
  ssr: { resolve: { conditions: ['baton-source', 'module', 'node', 'development|production'] } },
  test: {
    include: ['test/**/*.test.ts'],
    // They need a browser: vitest.browser.config.ts.
    exclude: ['**/node_modules/**', 'test/browser/**', ...PROCESSES],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // The server of the tests has some hundred databases to put away.
    teardownTimeout: 60_000,
    maxWorkers: 2,
    pool: 'forks',
    // Files share a process, and what they import: loading LangGraph for each of them was a third of the suite's work.
    isolate: false,
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: '.ci/report.json' }]] : ['default'],
  },
});

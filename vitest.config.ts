import { defineConfig } from 'vitest/config';

export default defineConfig({
  // `batonjs/sdk` means the source in a checkout, as the `baton` command has it.
  ssr: { resolve: { conditions: ['baton-source', 'module', 'node', 'development|production'] } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**'], // they need a browser: vitest.browser.config.ts
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    pool: 'forks',
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: '.ci/report.json' }]] : ['default'],
  },
});

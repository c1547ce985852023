import { defineConfig } from 'vitest/config';
import config, { PROCESSES } from './vitest.config.ts';

/** The tests that start whole processes and kill them: `npm run test:processes`. */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: PROCESSES,
    exclude: [],
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: '.ci/report.processes.json' }]] : ['default'],
  },
});

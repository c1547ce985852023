import { defineConfig } from 'vitest/config';
import config from './vitest.config.ts';

/** The tests that need a browser: `npm run test:browser`. */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ['test/browser/**/*.test.ts'],
    exclude: [],
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: '.ci/report.browser.json' }]] : ['default'],
  },
});

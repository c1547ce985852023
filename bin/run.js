import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { registerLoaders } from './loaders.js';

// Loaders have to stand before anything else is imported, so --config is looked for here as well as in the command.
const { values } = parseArgs({ options: { config: { type: 'string', short: 'c' } }, strict: false });
const configPath = typeof values.config === 'string' ? values.config : 'langgraph.json';
registerLoaders(dirname(resolve(configPath)));

const source = new URL('../src/cli/main.ts', import.meta.url);
const { main } = await import(existsSync(fileURLToPath(source)) ? source.href : '../dist/cli/main.js');
await main(process.argv.slice(2));

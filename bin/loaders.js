import { existsSync, readFileSync, realpathSync } from 'node:fs';
import Module, { createRequire, register } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { register as registerRequire } from 'tsx/cjs/api';
import { register as registerImport } from 'tsx/esm/api';
import { packageOf } from './hooks.js';

const BATON = dirname(dirname(fileURLToPath(import.meta.url)));
/** Two copies of these in one process do not know each other's classes and symbols. */
const SHARED = ['@langchain/core', '@langchain/langgraph', '@langchain/langgraph-checkpoint'];

/**
 * Lets this process import TypeScript, with the tsconfig.json of a project, and makes the project's copy of LangGraph the
 * only one: whoever imports it, Baton too, gets the project's, or Baton's when the project has none. `batonjs` is the
 * Baton that runs.
 *
 * @param {string} projectDir the folder of langgraph.json
 */
export function registerLoaders(projectDir) {
  const data = { places: sharedPlaces(projectDir), own: ownEntries() };
  registerTsx(join(projectDir, 'tsconfig.json'));
  register('./hooks.js', import.meta.url, { data });
  hookRequire(data);
}

/**
 * Package -> file below which it is looked for. A strict package manager shows the project only what it names itself:
 * then the other packages are those that its LangGraph sees.
 */
function sharedPlaces(projectDir) {
  const project = join(projectDir, 'package.json');
  const langgraph = packageFolder('@langchain/langgraph', project);
  const bases = [project, ...(langgraph ? [join(realpathSync(langgraph), 'package.json')] : [])];
  const baton = join(BATON, 'package.json');
  return Object.fromEntries(SHARED.map((name) => [name, bases.find((base) => packageFolder(name, base)) ?? baton]));
}

function packageFolder(name, base) {
  const folders = createRequire(base).resolve.paths(name) ?? [];
  return folders.map((folder) => join(folder, name)).find((folder) => existsSync(join(folder, 'package.json')));
}

/** `batonjs/sdk` -> file. A checkout has the sources, a published package only what was built from them. */
function ownEntries() {
  const { name, exports } = JSON.parse(readFileSync(join(BATON, 'package.json'), 'utf8'));
  const condition = existsSync(join(BATON, 'src')) ? 'baton-source' : 'default';
  const entries = Object.entries(exports).filter(([, target]) => target[condition]);
  return Object.fromEntries(entries.map(([path, target]) => [name + path.slice(1), join(BATON, target[condition])]));
}

function registerTsx(tsconfig) {
  const found = existsSync(tsconfig);
  if (found) process.env.TSX_TSCONFIG_PATH ??= tsconfig; // the only way to tell it for `require`
  registerRequire();
  registerImport({ tsconfig: found && tsconfig });
}

/** What hooks.js does for `import`, for `require`. */
function hookRequire({ places, own }) {
  const resolveFilename = Module._resolveFilename;
  Module._resolveFilename = function (request, parent, isMain, options) {
    if (own[request]) return own[request];
    const place = places[packageOf(request)];
    const from = place ? { ...options, paths: [dirname(place)] } : options;
    return resolveFilename.call(this, request, parent, isMain, from);
  };
}

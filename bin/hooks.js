// Node runs this module in a thread of its own. loaders.js says what `places` and `own` are.
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

let places = {};
let own = {};

export function initialize(data) {
  places = toUrls(data.places);
  own = toUrls(data.own);
}

export async function resolve(specifier, context, nextResolve) {
  if (own[specifier]) return nextResolve(own[specifier], context);
  const inside = insidePackage(specifier, context.parentURL);
  if (inside) return { url: inside, format: 'module', shortCircuit: true };
  const parentURL = places[packageOf(specifier)];
  const found = await nextResolve(specifier, parentURL ? { ...context, parentURL } : context);
  const [url] = found.url.split(TSX_COMMONJS);
  return found.format === 'commonjs' && isUndecidedModule(url) ? { ...found, url, format: 'module' } : found;
}

export async function load(url, context, nextLoad) {
  if (context.format === 'module' && PACKAGED.test(url)) {
    return { format: 'module', source: withoutMap(readFileSync(fileURLToPath(url))), shortCircuit: true };
  }
  const loaded = await nextLoad(url, context);
  const [file, note] = url.split(TSX_COMMONJS);
  if (note === undefined || !loaded.source) return loaded;
  // tsx 4.23 gives CommonJS that a module imports its own __filename, but leaves it with a __dirname of "data:text".
  return { ...loaded, source: `__dirname=${JSON.stringify(dirname(fileURLToPath(file)))};${loaded.source}` };
}

/** `@langchain/core/messages` -> `@langchain/core` */
export function packageOf(specifier) {
  return specifier.startsWith('@langchain/') ? specifier.split('/', 2).join('/') : specifier;
}

/** Source maps are on for the project's TypeScript: Node would read and parse that of each file of a package as well. */
function withoutMap(source) {
  const map = source.lastIndexOf('\n//# sourceMappingURL=');
  const isLastLine = map >= 0 && !source.subarray(map + 1, -1).includes('\n');
  return isLastLine ? source.subarray(0, map) : source;
}

/** What tsx appends to the address of TypeScript that is to be CommonJS and is imported by a module. */
const TSX_COMMONJS = /(?:%3F|\?)tsx-commonjs-export-preparse.*/s;
const PACKAGED = /^file:.*\/node_modules\/.*\.m?js$/;
const RELATIVE = /^\.\.?\/.*\.m?js$/;

/**
 * A package's ES modules import each other by paths that need no search and no compiler. Answering for them here, without
 * asking tsx and Node in turn, loads LangGraph in half the time.
 */
function insidePackage(specifier, parentURL) {
  if (!parentURL || !RELATIVE.test(specifier) || !PACKAGED.test(parentURL)) return undefined;
  const url = new URL(specifier, parentURL);
  const module = url.pathname.endsWith('.mjs') || typeOf(new URL('.', url).href) === 'module';
  return module && existsSync(url) ? url.href : undefined;
}

const COMMONJS = /\b(__dirname|__filename|require\s*\(|module\.exports|exports\.)/;

/**
 * TypeScript in a project that gives no `type`, and with nothing of CommonJS in it. Compiled to `require` it would get
 * LangGraph's CommonJS build, a second copy: a Send made by Baton would be no Send to it.
 */
function isUndecidedModule(url) {
  if (!/^file:.*\.tsx?$/.test(url) || url.includes('/node_modules/')) return false;
  return typeOf(new URL('.', url).href) === undefined && !COMMONJS.test(readFileSync(fileURLToPath(url), 'utf8'));
}

const types = new Map();

/** What `type` the nearest package.json gives to the files of a folder. */
function typeOf(folder) {
  if (!types.has(folder)) {
    const manifest = new URL('package.json', folder);
    const parent = new URL('..', folder).href;
    if (existsSync(manifest)) types.set(folder, JSON.parse(readFileSync(manifest, 'utf8')).type);
    else types.set(folder, parent === folder || parent.endsWith('/node_modules/') ? undefined : typeOf(parent));
  }
  return types.get(folder);
}

function toUrls(paths) {
  return Object.fromEntries(Object.entries(paths).map(([key, path]) => [key, pathToFileURL(path).href]));
}

import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BatonConfig } from '../../config/config.ts';
import { InvalidInputError, messageOf } from '../../core/errors.ts';

export type UiSource = BatonConfig['ui'][string];

/** What is used here of esbuild, whose copy is found at run time. */
interface Esbuild {
  build(options: object): Promise<{ outputFiles: { path: string; contents: Uint8Array; text: string }[] }>;
}
interface Plugin {
  name: string;
  setup(build: Build): void;
}
interface Build {
  onResolve(which: { filter: RegExp }, resolve: () => { path: string; namespace: string }): void;
  onLoad(
    which: { filter: RegExp; namespace: string },
    load: () => { contents: string; resolveDir: string; loader: 'js' },
  ): void;
}

/** File name -> contents. */
export type UiFiles = ReadonlyMap<string, Uint8Array>;

/** What a page that loads components offers: `LoadExternalComponent` of the SDK. */
const SHARED = ['react', 'react-dom', '@langchain/langgraph-sdk', '@langchain/langgraph-sdk/react-ui'];
const ENTRY = 'entrypoint';

/** How the bundle of a graph is called in the page. */
export function globalNameOf(name: string): string {
  return `__LGUI_${name.replaceAll(/[^a-zA-Z0-9]/g, '_')}`;
}

/** Bundles the components of a graph for the browser. Throws InvalidInputError that says what is wrong with them. */
export async function bundleUi(name: string, { file, projectDir, shared }: UiSource): Promise<UiFiles> {
  const esbuild = await importEsbuild(projectDir);
  const options = {
    write: false,
    entryPoints: [ENTRY],
    outdir: join(projectDir, 'dist'),
    bundle: true,
    platform: 'browser',
    target: 'es2020',
    jsx: 'automatic',
    logLevel: 'silent',
    external: [...SHARED, ...shared],
    globalName: globalNameOf(name),
    plugins: [...(await tailwindOf(projectDir)), entryPlugin(file, projectDir)],
  };
  let result: Awaited<ReturnType<Esbuild['build']>>;
  try {
    result = await esbuild.build(options);
  } catch (error) {
    throw new InvalidInputError(`The UI of "${name}" cannot be built from ${file}: ${messageOf(error)}`);
  }
  return new Map(
    result.outputFiles.map(({ path, contents, text }) => [
      basename(path),
      path.endsWith('.js') ? Buffer.from(withPageRequire(text)) : contents,
    ]),
  );
}

/** The components come from the project; how the page gets hold of one is agreed on with the SDK. */
function entryPlugin(file: string, projectDir: string): Plugin {
  const from = `./${relative(projectDir, file).replaceAll('\\', '/')}`;
  const contents = `import components from ${JSON.stringify(from)};
export function render(name, shadowRootId) {
  const target = document.createElement('div');
  document.getElementById(shadowRootId).shadowRoot.appendChild(target);
  window[Symbol.for('LGUI_EXT_STORE')].respond(shadowRootId, components[name], target);
}`;
  return {
    name: 'baton-ui-entry',
    setup(build) {
      const path = join(dirname(file), 'baton-ui-entry.js');
      build.onResolve({ filter: new RegExp(`^${ENTRY}$`) }, () => ({ path, namespace: 'baton-ui' }));
      build.onLoad({ filter: /.*/, namespace: 'baton-ui' }, () => ({ contents, resolveDir: projectDir, loader: 'js' }));
    },
  };
}

/** A bundle asks for shared packages by `require`, which no browser has: the page gives it another. */
function withPageRequire(text: string): string {
  const page = 'globalThis[Symbol.for("LGUI_REQUIRE")]';
  return text.replaceAll('typeof require !== "undefined" ? require', `typeof ${page} !== "undefined" ? ${page}`);
}

/** The project's own, or the one that tsx brings along. */
async function importEsbuild(projectDir: string): Promise<Esbuild> {
  const own = createRequire(import.meta.url);
  const project = createRequire(join(projectDir, 'package.json'));
  const path = resolved(project, 'esbuild') ?? createRequire(own.resolve('tsx')).resolve('esbuild');
  const module = (await import(pathToFileURL(path).href)) as { default: Esbuild };
  return module.default;
}

/** Utility classes work where the project has the plugin that the official server brings along. */
async function tailwindOf(projectDir: string): Promise<Plugin[]> {
  const path = resolved(createRequire(join(projectDir, 'package.json')), 'esbuild-plugin-tailwindcss');
  if (path === null) return [];
  const { default: plugin } = (await import(pathToFileURL(path).href)) as { default: unknown };
  const make = typeof plugin === 'function' ? plugin : Reflect.get(plugin as object, 'default');
  return [(make as () => Plugin)()];
}

function resolved(from: NodeJS.Require, name: string): string | null {
  try {
    return from.resolve(name);
  } catch {
    return null;
  }
}

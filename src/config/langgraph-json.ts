import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { InvalidInputError, messageOf } from '../core/errors.ts';
import type { GraphSource } from '../core/graph-source.ts';
import type { RetentionSettings } from '../core/retention-settings.ts';
import { stateUrl } from '../core/state-url.ts';
import { AutoDurability, GraphSettings } from './durability-settings.ts';
import { AuthKey, authDetails } from './auth-settings.ts';
import { HttpKey, type HttpSettings } from './http-settings.ts';
import { StoreKey, storeSettings, type StoreSettings } from './store-settings.ts';
import { CheckpointerKey, RetentionKey, retentionSettings } from './retention-settings.ts';
import { Prices } from './usage-settings.ts';
import { WebhooksKey } from './webhook-settings.ts';

const GraphEntry = z.union([z.string(), z.object({ path: z.string(), description: z.string().nullish() })]);

/** Our own settings, under a key that the official tools pass over. */
const BatonKey = z
  .strictObject({
    state_url: z.string().optional(),
    keys: z.string().optional(),
    data_dir: z.string().optional(),
    port: z.int().min(0).max(65_535).optional(),
    workers: z.int().min(1).max(1000).optional(),
    trust_studio: z.boolean().optional(),
    graphs: GraphSettings.default({}),
    auto_durability: AutoDurability.prefault({}),
    prices: Prices.default({}),
    retention: RetentionKey.prefault({}),
  })
  .transform(({ state_url, data_dir, trust_studio, auto_durability, ...rest }) => ({
    stateUrl: state_url,
    dataDir: data_dir,
    trustStudio: trust_studio,
    autoDurability: auto_durability,
    ...rest,
  }));

const LanggraphJson = z.looseObject({
  graphs: z.record(z.string(), GraphEntry),
  env: z.union([z.string(), z.array(z.string()), z.record(z.string(), z.coerce.string())]).optional(),
  auth: AuthKey.nullish(),
  http: HttpKey.nullish(),
  ui: z.record(z.string(), z.string()).nullish(),
  ui_config: z.looseObject({ shared: z.array(z.string()).nullish() }).nullish(),
  store: StoreKey.nullish(),
  checkpointer: CheckpointerKey.nullish(),
  webhooks: WebhooksKey.nullish(),
  baton: BatonKey.prefault({}),
});
type LanggraphJson = z.infer<typeof LanggraphJson>;

/** Keys that mean something to image building only, or to an editor. */
const NOT_OURS = [
  '$schema',
  '_INTERNAL_docker_tag',
  'api_version',
  'base_image',
  'dependencies',
  'docker_compose_file',
  'dockerfile_lines',
  'image_distro',
  'keep_pkg_tools',
  'node_version',
  'pip_config_file',
  'pip_installer',
  'python_version',
  'source',
];
const NOT_YET = new Set(['node_loader']);
/** Serving without these would expose what the project meant to protect. */
const PROTECTION = new Set(['encryption']);

export interface Project {
  graphs: Record<string, GraphSource>;
  /** Variables for the graphs and for Baton itself, from the `env` key. */
  environment: Record<string, string>;
  settings: z.infer<typeof BatonKey>;
  /** The project's own authentication; null: none. */
  auth: { file: string; exportName: string } | null;
  authDetails: ReturnType<typeof authDetails>;
  http: HttpSettings;
  /** The components that graphs show, by the graph's name. */
  ui: Record<string, UiSource>;
  store: StoreSettings;
  retention: RetentionSettings;
  webhooks: { key: z.infer<typeof WebhooksKey>; disabled: boolean };
}

export interface UiSource {
  /** Absolute path of the module whose default export is the components by name. */
  file: string;
  /** Where its packages are. */
  projectDir: string;
  /** Packages that the page brings along, besides React and the SDK. */
  shared: string[];
}

/**
 * Reads the official project file. What Baton does not support yet is named in one line through `warn`.
 * @throws InvalidInputError when the file is missing or wrong, or asks for protection that Baton cannot give yet.
 */
export function readLanggraphJson(configPath: string, warn: (line: string) => void): Project {
  const file = parse(configPath);
  warnOfKeys(file, configPath, warn);
  return {
    graphs: Object.fromEntries(
      Object.entries(file.graphs).map(([id, entry]) => [
        id,
        { ...graphSource(id, entry, configPath), ...graphSettings(id, file, configPath) },
      ]),
    ),
    environment: readEnvironment(file.env, configPath, warn),
    settings: file.baton,
    auth: file.auth?.path ? exportIn(file.auth.path, configPath) : null,
    authDetails: authDetails(file.auth ?? {}),
    http: {
      ...(file.http?.http ?? HttpKey.parse({}).http),
      app: file.http?.app ? exportIn(file.http.app, configPath) : null,
    },
    ui: uiSources(file, configPath),
    retention: retentionSettings(file.checkpointer ?? {}, file.baton.retention),
    store: storeSettings(file.store ?? {}, dirname(configPath)),
    webhooks: { key: file.webhooks ?? {}, disabled: file.http?.webhooksDisabled ?? false },
  };
}

function parse(configPath: string): LanggraphJson {
  const text = readText(configPath);
  if (text === undefined) {
    throw new InvalidInputError(
      `No langgraph.json at ${configPath}: run baton in the folder that has it, or name it with --config PATH`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InvalidInputError(`${configPath} is not valid JSON: ${messageOf(error)}`);
  }
  const parsed = LanggraphJson.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InvalidInputError(`${configPath} is wrong at "${issue?.path.join('.')}": ${issue?.message}`);
  }
  const { graphs, baton } = parsed.data;
  const stranger = Object.keys(baton.graphs).find((id) => !Object.hasOwn(graphs, id));
  if (stranger !== undefined) {
    throw new InvalidInputError(
      `${configPath} is wrong at "baton.graphs.${stranger}": "graphs" has no such graph, only ${Object.keys(graphs).join(', ')}`,
    );
  }
  if (Object.keys(graphs).length === 0) {
    throw new InvalidInputError(`${configPath} names no graphs: add one, such as "agent": "./src/agent.ts:graph"`);
  }
  return parsed.data;
}

function warnOfKeys(file: LanggraphJson, configPath: string, warn: (line: string) => void): void {
  const keys = Object.keys(file).filter((key) => file[key] !== undefined && file[key] !== null);
  const protection = keys.filter((key) => PROTECTION.has(key));
  if (protection.length > 0) {
    throw new InvalidInputError(
      `${configPath} sets ${protection.join(' and ')}, which Baton does not support yet: serving without would be unsafe`,
    );
  }
  const known = new Set([...Object.keys(LanggraphJson.shape), ...NOT_OURS, ...NOT_YET]);
  const notYet = [
    ...keys.filter((key) => NOT_YET.has(key)),
    ...Object.keys(file.checkpointer ?? {})
      .filter((key) => !(key in CheckpointerKey.shape))
      .map((key) => `checkpointer.${key}`),
    ...(file.http?.notYet ?? []).map((key) => `http.${key}`),
    ...Object.keys(file.auth ?? {})
      .filter((key) => !(key in AuthKey.shape))
      .map((key) => `auth.${key}`),
  ];
  const unknown = keys.filter((key) => !known.has(key));
  if (notYet.length > 0) warn(`${configPath}: not supported yet and left out: ${notYet.join(', ')}`);
  if (file.auth?.disable_studio_auth === false && file.baton.trustStudio !== true) {
    warn(
      `${configPath}: auth.disable_studio_auth is false, and Baton still asks who Studio is: anybody can send its header. "baton": {"trust_studio": true} believes it`,
    );
  }
  if (unknown.length > 0) warn(`${configPath}: unknown and left out: ${unknown.join(', ')}`);
}

function graphSource(graphId: string, entry: z.infer<typeof GraphEntry>, configPath: string): GraphSource {
  const { path, description = null } = typeof entry === 'string' ? { path: entry } : entry;
  const { file, exportName } = exportIn(path, configPath);
  if (file.endsWith('.py')) {
    throw new InvalidInputError(
      `Graph "${graphId}" is written in Python (${file}): Baton serves JavaScript and TypeScript`,
    );
  }
  return { file, exportName, description };
}

function graphSettings(graphId: string, { baton }: LanggraphJson, configPath: string): Partial<GraphSource> {
  const { state, ...settings } = baton.graphs[graphId] ?? {};
  if (state === undefined) return settings;
  return { ...settings, state: stateUrl(state, dirname(configPath), `baton.graphs.${graphId}.state`) };
}

function uiSources({ ui, ui_config }: LanggraphJson, configPath: string): Record<string, UiSource> {
  const projectDir = dirname(configPath);
  const shared = ui_config?.shared ?? [];
  return Object.fromEntries(
    Object.entries(ui ?? {}).map(([name, file]) => [name, { file: resolve(projectDir, file), projectDir, shared }]),
  );
}

/** `./src/agent.ts:graph`; the colon after a Windows drive's letter is no separator. */
export function exportIn(path: string, configPath: string): { file: string; exportName: string } {
  const colon = path.lastIndexOf(':');
  const [file, exportName] = colon > 1 ? [path.slice(0, colon), path.slice(colon + 1)] : [path, ''];
  return { file: resolve(dirname(configPath), file), exportName: exportName || 'default' };
}

function readEnvironment(env: LanggraphJson['env'], configPath: string, warn: (line: string) => void) {
  if (env === undefined || Array.isArray(env)) return {}; // a list names variables that the process brings along
  if (typeof env !== 'string') return env;
  const file = resolve(dirname(configPath), env);
  const text = readText(file);
  if (text === undefined) warn(`No ${file}, which langgraph.json names as "env": going on without it`);
  return (text === undefined ? {} : parseEnv(text)) as Record<string, string>;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new InvalidInputError(`${path} cannot be read: ${messageOf(error)}`);
  }
}

import { dirname, resolve } from 'node:path';
import type { ApiKey } from '../core/caller.ts';
import { InvalidInputError } from '../core/errors.ts';
import type { GraphSource } from '../core/graph-source.ts';
import { stateUrl } from '../core/state-url.ts';
import type { RetentionSettings } from '../core/retention-settings.ts';
import type { ModelPrices } from '../core/usage.ts';
import { parseApiKeys } from './api-keys.ts';
import { processEnv, readEnv, type Environment, type LogLevel } from './env.ts';
import { encryptionSettings, type EncryptionSettings } from './encryption-settings.ts';
import { blobSettings, type BlobSettings } from './blob-settings.ts';
import type { SecurityDescription, UserCacheSettings } from './auth-settings.ts';
import type { HttpSettings } from './http-settings.ts';
import { exportIn, readLanggraphJson, type UiSource } from './langgraph-json.ts';
import type { StoreSettings } from './store-settings.ts';
import { WEBHOOK_DEFAULTS, webhookSettings, type WebhookSettings } from './webhook-settings.ts';

type DeepReadonly<T> = { readonly [K in keyof T]: T[K] extends object ? DeepReadonly<T[K]> : T[K] };

/** All that a server is told from outside, checked and frozen. Paths are absolute. */
export type BatonConfig = DeepReadonly<{
  /** The folder of langgraph.json. */
  projectDir: string;
  configPath: string;
  /** What Baton keeps on disk: the embedded Postgres, for one. */
  dataDir: string;
  graphs: Record<string, GraphSource>;
  http: {
    host: string;
    /** 0 = any free one. */
    port: number;
    /** Listening beyond this machine without authentication was asked for. */
    insecure: boolean;
  } & HttpSettings;
  auth: {
    /** The project's own `Auth` object; null: none. */
    project: { file: string; exportName: string } | null;
    apiKeys: ApiKey[];
    /** Whether a request that claims to come from LangGraph Studio is believed. */
    trustStudio: boolean;
    /** Null: each request is asked about. */
    cache: UserCacheSettings | null;
    /** Null: by our own keys, if at all. */
    described: SecurityDescription | null;
  };
  /** The components that graphs show, by the graph's name. */
  ui: Record<string, UiSource>;
  /** Null: a Postgres of our own, below `dataDir`. */
  databaseUrl: string | null;
  /** Null: the database that the control plane uses. */
  stateUrl: string | null;
  /** Of stores whose address begins with `encrypted+`. */
  encryption: EncryptionSettings;
  /** Where big values and files are. */
  blobs: BlobSettings;
  worker: {
    /** Runs at once, in one process. */
    concurrency: number;
    /** How long a run stays claimed without a sign of life. */
    leaseMs: number;
    /** The net below the wake-up by notification. */
    pollMs: number;
    /** Attempts without a new checkpoint before a run is given up. */
    maxAttempts: number;
    /** How long a stopping worker waits for running nodes to end before it hands their runs back. */
    graceMs: number;
    /** How long a sleeping run keeps its worker. */
    parkAfterMs: number;
  };
  /** How much work of a run with durability `auto` a crash may cost: node time, and money in US dollars. */
  autoDurability: { ms: number; cost: number };
  /** What models cost, before the list that comes with Baton. */
  prices: ModelPrices;
  /** How long things are kept that nobody deletes. */
  retention: RetentionSettings;
  /** What graphs remember across threads. */
  store: StoreSettings;
  /** How the ends of runs are told to the outside. */
  webhooks: WebhookSettings;
  logLevel: LogLevel;
  /** What langgraph.json's `env` gives to the graphs. */
  environment: Record<string, string>;
}>;

export interface ConfigFlags {
  host?: string;
  port?: number;
  workers?: number;
  insecure?: boolean;
}

export interface ConfigRequest {
  /** Path of langgraph.json. */
  configPath: string;
  /** From the command line: these win. */
  flags?: ConfigFlags;
  /** Default: the process's environment. It wins over the project's env file. */
  env?: Environment;
  warn?: (line: string) => void;
}

const DEFAULTS = {
  host: '127.0.0.1',
  port: 2024,
  insecure: false,
  trustStudio: false,
  apiKeys: undefined as string | undefined,
  keys: undefined as string | undefined,
  clearMetadata: undefined as string | undefined,
  dataDir: '.baton',
  workers: 10,
  leaseSeconds: 10,
  graceSeconds: 10,
  maxAttempts: 5,
  ...WEBHOOK_DEFAULTS,
  parkAfterSeconds: 5,
  logLevel: 'info' as LogLevel,
};

/**
 * Command line over environment over env file over langgraph.json over defaults.
 * @throws InvalidInputError with one line that names the setting and what to do.
 */
export function loadConfig({
  configPath,
  flags = {},
  env = processEnv(),
  warn = () => {},
}: ConfigRequest): BatonConfig {
  const path = resolve(configPath);
  const projectDir = dirname(path);
  const { graphs, environment, settings, ...project } = readLanggraphJson(path, warn);
  const variables = { ...environment, ...env };
  const set = { ...DEFAULTS, ...defined(settings), ...defined(readEnv(variables)), ...defined(flags) };

  const auth = {
    project: project.auth,
    apiKeys: parseApiKeys(set.apiKeys),
    trustStudio: set.trustStudio,
    ...project.authDetails,
  };
  return deepFreeze({
    projectDir,
    configPath: path,
    dataDir: resolve(projectDir, set.dataDir),
    graphs,
    http: safeToListen({ host: set.host, port: set.port, insecure: set.insecure, ...project.http }, auth),
    auth,
    ui: project.ui,
    databaseUrl: url('DATABASE_URL', set.databaseUrl, /^postgres(ql)?:\/\/./, 'postgres://user:password@host/database'),
    stateUrl: set.stateUrl ? stateUrl(set.stateUrl, projectDir, 'STATE_URL') : null,
    encryption: encryptionSettings({ ...set, exportOf: (named) => exportIn(named, path) }),
    blobs: blobSettings(set),
    worker: {
      concurrency: set.workers,
      leaseMs: set.leaseSeconds * 1000,
      pollMs: 1000,
      maxAttempts: set.maxAttempts,
      graceMs: set.graceSeconds * 1000,
      parkAfterMs: set.parkAfterSeconds * 1000,
    },
    autoDurability: settings.autoDurability,
    prices: settings.prices,
    retention: project.retention,
    store: project.store,
    webhooks: webhookSettings({ ...project.webhooks, set, env: variables }),
    logLevel: set.logLevel,
    environment,
  });
}

/** Without the keys that were not given, so that they do not hide what a lower layer says. */
function defined<T extends object>(layer: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(layer).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i;

function safeToListen<T extends { host: string; insecure: boolean }>(http: T, auth: BatonConfig['auth']): T {
  const asksWho = auth.project !== null || auth.apiKeys.length > 0;
  if (asksWho || http.insecure || LOOPBACK.test(http.host)) return http;
  throw new InvalidInputError(
    `Refusing to listen on ${http.host}: anyone who can reach it could use it, as no authentication is configured. ` +
      'Set BATON_API_KEYS ("baton key" makes one), or auth.path in langgraph.json; or pass --insecure',
  );
}

function url(name: string, value: string | undefined, shape: RegExp, example: string): string | null {
  // The value may hold a password, so the message does not repeat it.
  if (value && !shape.test(value)) throw new InvalidInputError(`${name} is not an address: write it as ${example}`);
  return value ?? null;
}

function deepFreeze<T extends object>(value: T): T {
  for (const item of Object.values(value)) if (typeof item === 'object' && item !== null) deepFreeze(item as object);
  return Object.freeze(value);
}

import { InvalidInputError } from '../core/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The variables that Baton reads, by name and type only; `config.ts` says what they mean. `.env.example` documents them. */
export function readEnv(env: Environment) {
  return {
    // Where things are kept
    databaseUrl: text(env, 'DATABASE_URL'),
    stateUrl: text(env, 'STATE_URL'),
    dataDir: text(env, 'BATON_DATA_DIR'),
    blobUrl: text(env, 'BLOB_URL'),
    blobBytes: integer(env, 'BATON_BLOB_BYTES', { min: 4096, max: 1_000_000_000 }),
    awsAccessKeyId: text(env, 'AWS_ACCESS_KEY_ID'),
    awsSecretAccessKey: text(env, 'AWS_SECRET_ACCESS_KEY'),
    awsSessionToken: text(env, 'AWS_SESSION_TOKEN'),

    // How it is sealed
    keys: text(env, 'BATON_KEYS'),
    clearMetadata: text(env, 'BATON_CLEAR_METADATA'),

    // How it listens
    host: text(env, 'BATON_HOST'),
    port: integer(env, 'PORT', { min: 0, max: 65_535 }),

    // Who may use it
    apiKeys: text(env, 'BATON_API_KEYS'),

    // How it works
    workers: integer(env, 'BATON_WORKERS', { min: 1, max: 1000 }),
    leaseSeconds: integer(env, 'BATON_LEASE_SECONDS', { min: 1, max: 3600 }),
    graceSeconds: integer(env, 'BATON_GRACE_SECONDS', { min: 0, max: 3600 }),
    maxAttempts: integer(env, 'BATON_MAX_ATTEMPTS', { min: 1, max: 100 }),
    parkAfterSeconds: integer(env, 'BATON_PARK_AFTER_SECONDS', { min: 0, max: 3600 }),

    // Whom it tells
    webhookSecret: text(env, 'BATON_WEBHOOK_SECRET'),
    webhookAllowedNetworks: text(env, 'BATON_WEBHOOK_ALLOWED_NETWORKS'),
    webhookMaxAttempts: integer(env, 'BATON_WEBHOOK_MAX_ATTEMPTS', { min: 1, max: 100 }),
    webhookTimeoutSeconds: integer(env, 'BATON_WEBHOOK_TIMEOUT_SECONDS', { min: 1, max: 300 }),
    webhookKeepDays: integer(env, 'BATON_WEBHOOK_KEEP_DAYS', { min: 0, max: 3650 }),
    webhookKeepDeadDays: integer(env, 'BATON_WEBHOOK_KEEP_DEAD_DAYS', { min: 0, max: 3650 }),

    // What it says
    logLevel: oneOf(env, 'BATON_LOG_LEVEL', LOG_LEVELS),
  };
}

/** The environment of this process. */
export function processEnv(): Environment {
  return process.env;
}

/** Gives graphs the variables that langgraph.json names. A variable that the process already has is left as it is. */
export function applyEnvironment(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) process.env[name] ??= value;
}

/** An empty variable counts as not set: that is how compose files pass a missing one on. */
function text(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

function integer(env: Environment, name: string, { min, max }: { min: number; max: number }): number | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new InvalidInputError(`${name} must be a whole number from ${min} to ${max}, not "${value}"`);
}

function oneOf<const T extends string>(env: Environment, name: string, values: readonly T[]): T | undefined {
  const value = text(env, name);
  if (value === undefined || values.includes(value as T)) return value as T | undefined;
  throw new InvalidInputError(`${name} must be one of ${values.join(', ')}, not "${value}"`);
}

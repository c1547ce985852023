import { validateHeaderName, validateHeaderValue } from 'node:http';
import { z } from 'zod';
import { InvalidInputError, messageOf } from '../core/errors.ts';
import type { WebhookRules } from '../core/webhook.ts';
import type { Environment } from './env.ts';

const DAY_MS = 86_400_000;
/** What the platform takes. */
const MAX_URL_CHARS = 65_536;

/** The key `webhooks` of langgraph.json. */
export const WebhooksKey = z.strictObject({
  env_prefix: z.string().nullish(),
  headers: z.record(z.string(), z.string()).nullish(),
  url: z
    .strictObject({
      allowed_domains: z.array(z.string().regex(/^(\*\.)?[^*\s/:]+$/, 'must be a host, or *.domain')).nullish(),
      allowed_ports: z.array(z.int().min(1).max(65_535)).nullish(),
      require_https: z.boolean().nullish(),
      disable_loopback: z.boolean().nullish(),
      max_url_length: z.int().min(1).nullish(),
    })
    .nullish(),
});

export interface WebhookSettings {
  rules: WebhookRules;
  /** Sent along with every webhook; may hold secrets. */
  headers: Record<string, string>;
  /** What webhooks are signed with: one, or two while they are being changed. Empty: they are not signed. */
  secrets: string[];
  /** After these a delivery is dead. */
  maxAttempts: number;
  /** Of one attempt, redirects and all. */
  timeoutMs: number;
  /** How long it is known what was delivered. */
  keepMs: number;
  /** How long the dead can be sent again. */
  keepDeadMs: number;
}

/** What the environment says of webhooks. */
interface WebhookEnvironment {
  webhookSecret: string | undefined;
  webhookAllowedNetworks: string | undefined;
  webhookMaxAttempts: number;
  webhookTimeoutSeconds: number;
  webhookKeepDays: number;
  webhookKeepDeadDays: number;
}

export const WEBHOOK_DEFAULTS: WebhookEnvironment = {
  webhookSecret: undefined,
  webhookAllowedNetworks: undefined,
  webhookMaxAttempts: 10,
  webhookTimeoutSeconds: 15,
  webhookKeepDays: 7,
  webhookKeepDeadDays: 30,
};

interface WebhookSources {
  key: z.infer<typeof WebhooksKey>;
  /** `http.disable_webhooks` */
  disabled: boolean;
  set: WebhookEnvironment;
  /** What header templates may read. */
  env: Environment;
}

/** @throws InvalidInputError that names the setting, and repeats no secret. */
export function webhookSettings({ key, disabled, set, env }: WebhookSources): WebhookSettings {
  const { allowed_domains, allowed_ports, require_https, disable_loopback, max_url_length } = key.url ?? {};
  return {
    rules: {
      enabled: !disabled,
      // As on the platform since 0.10: not unless it is asked for.
      ownPaths: disable_loopback === false,
      domains: allowed_domains?.length ? allowed_domains.map((domain) => domain.toLowerCase()) : null,
      ports: allowed_ports?.length ? allowed_ports : null,
      httpsOnly: require_https ?? false,
      maxUrlChars: Math.min(max_url_length ?? MAX_URL_CHARS, MAX_URL_CHARS),
      networks: listed(set.webhookAllowedNetworks).map(network),
    },
    headers: resolveHeaders(key.headers ?? {}, key.env_prefix ?? 'LG_WEBHOOK_', env),
    secrets: listed(set.webhookSecret).map(secret),
    maxAttempts: set.webhookMaxAttempts,
    timeoutMs: set.webhookTimeoutSeconds * 1000,
    keepMs: set.webhookKeepDays * DAY_MS,
    keepDeadMs: set.webhookKeepDeadDays * DAY_MS,
  };
}

function listed(text: string | undefined): string[] {
  return (text ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
}

function network(text: string): string {
  if (z.cidrv4().safeParse(text).success || z.cidrv6().safeParse(text).success) return text;
  throw new InvalidInputError(
    `BATON_WEBHOOK_ALLOWED_NETWORKS: "${text}" is no network: write it as 10.1.0.0/16 or fd00::/8, separated by commas`,
  );
}

function secret(text: string, index: number): string {
  if (text.length >= 16) return text;
  throw new InvalidInputError(
    `BATON_WEBHOOK_SECRET: secret ${index + 1} is too short to protect anything: use 16 characters or more, without commas or spaces`,
  );
}

/** They belong to the connection, or say what only Baton can say. */
const OURS = /^(host|connection|content-length|content-type|transfer-encoding|upgrade|te|trailer|expect|x-baton-.*)$/i;

function resolveHeaders(headers: Record<string, string>, prefix: string, env: Environment): Record<string, string> {
  const resolved = Object.entries(headers).map(([name, template]): [string, string] => {
    if (OURS.test(name)) throw new InvalidInputError(`webhooks.headers: "${name}" is set by Baton: use another name`);
    const value = resolve(name, template, { prefix, env });
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch (error) {
      throw new InvalidInputError(`webhooks.headers: "${name}" cannot be sent: ${messageOf(error)}`);
    }
    return [name.toLowerCase(), value];
  });
  return Object.fromEntries(resolved);
}

function resolve(header: string, template: string, { prefix, env }: { prefix: string; env: Environment }): string {
  const value = template.replaceAll(/\$\{\{\s*env\.(\w+)\s*\}\}/g, (_, name: string) => {
    if (!name.startsWith(prefix)) {
      throw new InvalidInputError(
        `webhooks.headers: "${header}" names ${name}, and only variables that begin with ${prefix} may be sent: rename it, or set webhooks.env_prefix`,
      );
    }
    const found = env[name];
    if (found === undefined || found === '') {
      throw new InvalidInputError(`webhooks.headers: "${header}" needs the variable ${name}, which is not set`);
    }
    return found;
  });
  // Of the template, not of the value: a variable may hold anything.
  if (/\$\{\{(?!\s*env\.\w+\s*\}\})/.test(template)) {
    throw new InvalidInputError(`webhooks.headers: the template of "${header}" is none: write \${{ env.NAME }}`);
  }
  return value;
}

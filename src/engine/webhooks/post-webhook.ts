import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { ServiceError } from '../../core/errors.ts';
import type { ResolveHost } from './resolve-host.ts';
import { addressesOfItself, hostOf, type WebhookPolicy } from './webhook-policy.ts';

const MAX_REDIRECTS = 3;
const CONNECT_MS = 5000;

export interface WebhookPost {
  url: string;
  body: string;
  headers: Readonly<Record<string, string>>;
  /** For the origin of `url` only: a redirect elsewhere does not get them. */
  secretHeaders: Readonly<Record<string, string>>;
  policy: WebhookPolicy;
  resolve: ResolveHost;
  /** Ends it, wherever it is. */
  signal: AbortSignal;
}

/** Somewhere on the way there is an address to which nothing may be sent. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError';
}

/**
 * Sends a webhook and returns the status of the answer, of which nothing else is read: what stands at an address that
 * somebody named is nobody's to see. Each redirect is judged as if it were the address given.
 * Throws ForbiddenAddressError; what connections throw.
 */
export async function postWebhook(post: WebhookPost): Promise<number> {
  const first = new URL(post.url);
  let url = first;
  for (let hop = 0; ; hop++) {
    refuse(post.policy, url);
    const addresses = await addressesOf(url, post);
    const headers = { ...(url.origin === first.origin && post.secretHeaders), ...post.headers };
    const { status, location } = await send(url, addresses, { ...post, headers });
    if (location === null) return status;
    if (hop === MAX_REDIRECTS) throw new Error(`was redirected more than ${MAX_REDIRECTS} times`);
    url = nextOf(url, location);
  }
}

function refuse(policy: WebhookPolicy, url: URL): void {
  try {
    policy.check(url.href);
  } catch (error) {
    throw error instanceof ServiceError ? new ForbiddenAddressError(error.message) : error;
  }
}

function nextOf(url: URL, location: string): URL {
  if (!URL.canParse(location, url.href)) throw new Error('was redirected to what is no address');
  const next = new URL(location, url);
  if (url.protocol === 'https:' && next.protocol !== 'https:') {
    throw new ForbiddenAddressError('was redirected from https to what everybody on the way can read');
  }
  return next;
}

/** Looked up once, and connected to as looked up: a name that changes in between changes nothing. */
async function addressesOf(url: URL, { policy, resolve, signal }: WebhookPost): Promise<string[]> {
  const host = hostOf(url);
  const known = addressesOfItself(host);
  const addresses = known.length > 0 ? known : await resolve(host, signal);
  if (addresses.length === 0) throw new Error(`${host} was not found`);
  const forbidden = addresses.find((address) => policy.forbids(address));
  if (forbidden === undefined) return addresses;
  throw new ForbiddenAddressError(
    `${host} leads to ${forbidden}, which is not public: if it is meant to be reached, add its network to BATON_WEBHOOK_ALLOWED_NETWORKS`,
  );
}

interface Head {
  status: number;
  /** Where a POST is to be repeated; null: here is the answer. */
  location: string | null;
}

function send(
  url: URL,
  addresses: readonly string[],
  { headers, body, signal }: Pick<WebhookPost, 'headers' | 'body' | 'signal'>,
): Promise<Head> {
  const options: RequestOptions = {
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    lookup: pinned(addresses),
    agent: false,
    signal,
  };
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url.href, options);
    sent.once('socket', limitConnecting);
    sent.once('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    sent.once('response', (answer) => {
      resolve(headOf(answer));
      answer.destroy();
    });
    sent.end(body);
  });
}

function limitConnecting(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${CONNECT_MS} ms`)), CONNECT_MS);
  for (const event of ['connect', 'close']) socket.once(event, () => clearTimeout(timer));
}

/** Of a POST that is redirected most clients would make a GET, which tells nobody anything. */
const REDIRECTS = new Set([301, 302, 307, 308]);

function headOf({ statusCode: status = 0, headers: { location } }: IncomingMessage): Head {
  return { status, location: REDIRECTS.has(status) && location !== undefined ? location : null };
}

/** Answers whatever is looked up with these addresses. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_name, { all: wantsAll }, callback) => {
    if (wantsAll) callback(null, all);
    else callback(null, all[0]?.address ?? '', all[0]?.family ?? 0);
  };
}

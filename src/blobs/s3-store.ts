import { setTimeout as delay } from 'node:timers/promises';
import { S3mini } from 's3mini';
import type { BlobStore, BlobUrlRequest, ListedBlob } from '../core/blob.ts';
import { messageOf, ServiceError } from '../core/errors.ts';
import { FetchWorker } from './fetch-worker.ts';
import type { S3Location } from './s3-location.ts';

/** An attempt may take this long, and there are so many. */
const TIMEOUT_MS = 60_000;
const PAUSES_MS = [100, 400, 1500];
/** For all attempts together while the process stands still: who else has the thread's turn must not take it for dead. */
const BLOCKING_MS = 5000;
/** After which one that did not answer may be waited for again. Who comes meanwhile is tried again, and then waits without blocking. */
const SILENCE_MS = 30_000;
/** How long the address of one request is good for: clocks differ. */
const ADDRESS_SECONDS = 900;

/**
 * Objects of a bucket, or of a prefix in it. Every request has its signature in its address, with which the sessions of
 * temporary credentials work, too.
 */
export class S3Store implements BlobStore {
  readonly #location: S3Location;
  readonly #signer: S3mini;
  #blocking: FetchWorker | undefined;
  /** Until then nobody blocks for it again: each of many threads would, one after the other. */
  #silentUntilMs = -Infinity;

  constructor(location: S3Location) {
    this.#location = location;
    this.#signer = new S3mini(location);
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#request('PUT', this.#keyOf(name), { body: bytes, accepted: [200, 201, 204] });
  }

  async get(name: string): Promise<Uint8Array | null> {
    const { status, body } = await this.#request('GET', this.#keyOf(name), { accepted: [200, 404] });
    return status === 404 ? null : body;
  }

  getSync(name: string): Uint8Array | null {
    if (this.#blocking === undefined || this.#blocking.isGone) this.#blocking = new FetchWorker(this.#location);
    const beganMs = performance.now();
    try {
      if (beganMs < this.#silentUntilMs) throw new Error('it gave no answer a moment ago');
      const path = this.#pathOf(this.#keyOf(name));
      const { status, body } = this.#blocking.get({
        path,
        query: this.#token(),
        timeoutMs: BLOCKING_MS,
        pausesMs: PAUSES_MS,
      });
      if (status === 404) return null;
      if (status !== 200) throw new Error(refusal(status, body));
      return body;
    } catch (error) {
      const nowMs = performance.now();
      if (nowMs - beganMs >= BLOCKING_MS / 2) this.#silentUntilMs = nowMs + SILENCE_MS;
      throw this.#unavailable(error);
    }
  }

  async delete(name: string): Promise<void> {
    await this.#request('DELETE', this.#keyOf(name), { accepted: [200, 204, 404] });
  }

  async list(after: string | undefined, limit: number): Promise<ListedBlob[]> {
    const prefix = this.#keyOf('');
    const query = {
      'list-type': '2',
      'max-keys': String(limit),
      ...(prefix !== '' && { prefix }),
      ...(after !== undefined && { 'start-after': this.#keyOf(after) }),
    };
    const { body } = await this.#request('GET', null, { query, accepted: [200] });
    const text = Buffer.from(body).toString('utf8');
    return [...text.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, entry = '']) => ({
      // What is not ours has another name, which no row knows; what is deeper has a slash in it.
      name: field(entry, 'Key').slice(prefix.length),
      bytes: Number(field(entry, 'Size')),
      stored_at: new Date(field(entry, 'LastModified')),
    }));
  }

  url(name: string, { seconds, type, filename }: BlobUrlRequest): Promise<string> {
    return this.#address('GET', this.#keyOf(name), {
      seconds,
      query: {
        'response-content-type': type,
        'response-content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(filename)}`,
      },
    });
  }

  async close(): Promise<void> {
    await this.#blocking?.stop();
  }

  #keyOf(name: string): string {
    const { prefix } = this.#location;
    return prefix === '' ? name : `${prefix}/${name}`;
  }

  #pathOf(key: string | null): string {
    const { bucket } = this.#location;
    return key === null ? bucket : `${bucket}/${key}`;
  }

  #token(): Record<string, string> {
    const { sessionToken } = this.#location;
    return sessionToken === undefined ? {} : { 'X-Amz-Security-Token': sessionToken };
  }

  /** @param key Null: of the bucket. */
  #address(method: Method, key: string | null, { seconds, query }: Address): Promise<string> {
    // The library types only two methods and signs any.
    return this.#signer.getPresignedUrl(method as 'GET', this.#pathOf(key), seconds, { ...query, ...this.#token() });
  }

  async #request(
    method: Method,
    key: string | null,
    { body, query = {}, accepted }: { body?: Uint8Array; query?: Record<string, string>; accepted: number[] },
  ): Promise<{ status: number; body: Uint8Array }> {
    for (let tries = 0; ; tries++) {
      const pauseMs = PAUSES_MS[tries];
      try {
        const address = await this.#address(method, key, { seconds: ADDRESS_SECONDS, query });
        const init = {
          method,
          signal: AbortSignal.timeout(TIMEOUT_MS),
          ...(body && { body: Buffer.from(body.buffer, body.byteOffset, body.byteLength) }),
        };
        const response = await fetch(address, init);
        const answer = new Uint8Array(await response.arrayBuffer());
        if (accepted.includes(response.status)) return { status: response.status, body: answer };
        const error = new Error(refusal(response.status, answer));
        if (pauseMs === undefined || !isPassing(response.status)) throw this.#unavailable(error);
      } catch (error) {
        if (error instanceof ServiceError || pauseMs === undefined) throw this.#unavailable(error);
      }
      await delay(pauseMs);
    }
  }

  #unavailable(error: unknown): ServiceError {
    if (error instanceof ServiceError) return error;
    const { endpoint, bucket } = this.#location;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const advice = `The bucket ${bucket} at ${endpoint} cannot be used (${messageOf(cause)}): see BLOB_URL`;
    return new ServiceError('unavailable', advice, { cause: error });
  }
}

type Method = 'GET' | 'PUT' | 'DELETE';

interface Address {
  seconds: number;
  query: Record<string, string>;
}

/** A server that is busy or broken may be neither in a moment. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 429;
}

function refusal(status: number, body: Uint8Array): string {
  const text = Buffer.from(body).toString('utf8');
  return [status, field(text, 'Code'), field(text, 'Message')].filter((part) => part !== '').join(' ');
}

function field(xml: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? '';
}

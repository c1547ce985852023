import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Signature {
  credential: string;
  token: string | null;
}

/** What the next requests of a method come to. */
type Fault = 'refuse' | 'break' | 'after';

/**
 * An S3 of one bucket, in memory: put, get, delete, and lists page by page in the order of bytes. Requests must be signed
 * in their address; the signature itself is not computed (the suite on s3rver does that).
 */
export class FakeS3 {
  readonly objects = new Map<string, Buffer>();
  readonly requests: string[] = [];
  readonly signatures: Signature[] = [];
  /** At most so many keys a page, whatever was asked for. */
  pageSize = 1000;
  readonly #faults: Fault[] = [];
  readonly #server = createServer((req, res) => void this.#answer(req, res));

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The next requests fail: refused (503), cut off before anything was done, or cut off after it was done. */
  fail(...faults: Fault[]): void {
    this.#faults.push(...faults);
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(req.url ?? '', this.url);
    const [, bucket, ...rest] = decodeURIComponent(pathname).split('/');
    const key = rest.join('/');
    this.requests.push(`${req.method} ${key}`);
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const fault = this.#faults.shift();
    if (fault === 'break') return void res.destroy();
    if (fault === 'refuse') return refuse(res, 503, 'SlowDown');
    if (bucket !== 'bucket') return refuse(res, 404, 'NoSuchBucket');
    if (!this.#isSigned(searchParams)) return refuse(res, 403, 'AccessDenied');
    this.#do({ method: req.method ?? '', key, query: searchParams, body: Buffer.concat(chunks) }, res, fault);
  }

  #do(
    { method, key, query, body }: { method: string; key: string; query: URLSearchParams; body: Buffer },
    res: ServerResponse,
    fault: Fault | undefined,
  ): void {
    const object = this.objects.get(key);
    if (method === 'PUT') this.objects.set(key, body);
    if (method === 'DELETE') this.objects.delete(key);
    if (fault === 'after') return void res.destroy();
    if (method === 'PUT') return void res.end();
    if (method === 'DELETE') return void res.writeHead(204).end();
    if (key === '') return this.#list(query, res);
    if (object === undefined) return refuse(res, 404, 'NoSuchKey');
    const disposition = query.get('response-content-disposition');
    const type = query.get('response-content-type');
    if (disposition !== null) res.setHeader('content-disposition', disposition);
    if (type !== null) res.setHeader('content-type', type);
    res.end(object);
  }

  #list(query: URLSearchParams, res: ServerResponse): void {
    const limit = Math.min(Number(query.get('max-keys') ?? 1000), this.pageSize);
    const after = query.get('start-after') ?? '';
    const names = [...this.objects.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const found = names.filter((name) => name.startsWith(query.get('prefix') ?? '') && name > after);
    const page = found.slice(0, limit).map((name) => {
      const size = this.objects.get(name)?.byteLength;
      return `<Contents><Key>${name}</Key><LastModified>${new Date().toISOString()}</LastModified><Size>${size}</Size></Contents>`;
    });
    res.end(`<?xml version="1.0"?><ListBucketResult><IsTruncated>${found.length > limit}</IsTruncated>${page.join('')}
</ListBucketResult>`);
  }

  #isSigned(query: URLSearchParams): boolean {
    const credential = query.get('X-Amz-Credential') ?? '';
    this.signatures.push({ credential, token: query.get('X-Amz-Security-Token') });
    const isInTime = Number(query.get('X-Amz-Expires')) > 0;
    return isInTime && credential !== '' && /^[0-9a-f]{64}$/.test(query.get('X-Amz-Signature') ?? '');
  }
}

function refuse(res: ServerResponse, status: number, code: string): void {
  res.writeHead(status).end(`<Error><Code>${code}</Code><Message>as asked for</Message></Error>`);
}

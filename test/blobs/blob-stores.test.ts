import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import S3rver from 's3rver';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DiskStore } from '../../src/blobs/disk-store.ts';
import { openBlobStore } from '../../src/blobs/open-blob-store.ts';
import { parseS3Url } from '../../src/blobs/s3-location.ts';
import { S3Store } from '../../src/blobs/s3-store.ts';
import type { BlobStore } from '../../src/core/blob.ts';
import { FakeS3 } from './fake-s3.ts';

let folder: string;
let fake: FakeS3;
let s3rver: S3rver;
let s3rverUrl: string;
let prefixes = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-blobs-'));
  fake = await new FakeS3().start();
  s3rver = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory: join(folder, 's3rver'),
    configureBuckets: [{ name: 'bucket', configs: [] }],
  });
  const { port } = await s3rver.run();
  s3rverUrl = `http://127.0.0.1:${port}`;
});

afterAll(async () => {
  await s3rver.close();
  await fake.stop();
  await rm(folder, { recursive: true, force: true });
});

const s3 = (endpoint: string, prefix = `some/prefix/${prefixes++}`): S3Store =>
  new S3Store(parseS3Url(`s3://S3RVER:S3RVER@bucket/${prefix}?endpoint=${endpoint}`));

const OPEN: Record<string, () => BlobStore> = {
  disk: () => new DiskStore(join(folder, `disk-${prefixes++}`)),
  'the fake S3': () => s3(fake.url),
  s3rver: () => s3(s3rverUrl),
};

describe.each(Object.entries(OPEN))('%s', (kind, open) => {
  test('gives back what was put, and nothing after it was deleted', async () => {
    const store = open();
    const bytes = Buffer.from([0, 255, 10, 13, ...Buffer.from('ünïcode '.repeat(20_000))]);
    await store.put('abc_-D.7', bytes);
    expect(Buffer.from((await store.get('abc_-D.7')) ?? [])).toEqual(bytes);
    await store.put('abc_-D.7', Buffer.from('again'));
    expect(Buffer.from((await store.get('abc_-D.7')) ?? []).toString()).toBe('again');
    await store.delete('abc_-D.7');
    await store.delete('abc_-D.7');
    expect(await store.get('abc_-D.7')).toBeNull();
    await store.close();
  });

  test('lists everything once, page by page', async () => {
    const store = open();
    const names = Array.from({ length: 23 }, (_, n) => `${n % 2 ? '~' : ''}${'xY'[n % 2]}${n * 7}.${n * 50}`);
    for (const name of names) await store.put(name, Buffer.from(name));
    const listed: string[] = [];
    for (let after: string | undefined; ;) {
      // s3rver cannot go on with a list.
      const limit = kind === 's3rver' ? 100 : 5;
      const page = await store.list(after, limit);
      expect(page.length).toBeLessThanOrEqual(limit);
      listed.push(...page.map(({ name }) => name));
      after = page.length < limit ? undefined : page.at(-1)?.name;
      if (after === undefined) break;
      expect(page[0]?.bytes).toBe(page[0]?.name.length);
      expect(Math.abs(Date.now() - (page[0]?.stored_at.getTime() ?? 0))).toBeLessThan(60_000);
    }
    expect(listed.toSorted()).toEqual(names.toSorted());
    await store.close();
  });

  if (kind === 'disk') return;
  test('signs addresses under which anybody can fetch an object', async () => {
    const store = open();
    await store.put('file.1', Buffer.from('contents'));
    const url = await store.url?.('file.1', { seconds: 60, type: 'text/csv', filename: 'a "b".csv' });
    const response = await fetch(url ?? '');
    expect(await response.text()).toBe('contents');
    expect(response.headers.get('content-type')).toContain('text/csv');
    expect(response.headers.get('content-disposition')).toContain('a%20%22b%22.csv');
    await store.close();
  });
});

describe('a bucket', () => {
  test('is asked again when it is busy, cuts off, or did it and does not say so', async () => {
    const store = s3(fake.url, '');
    fake.fail('refuse', 'break', 'after');
    await store.put('again.1', Buffer.from('x'));
    expect(fake.objects.get('again.1')?.toString()).toBe('x');
    expect(fake.requests.filter((request) => request === 'PUT again.1')).toHaveLength(4);
  });

  test('that stays away is told in one line, without its secrets', async () => {
    const store = new S3Store(parseS3Url('s3://key:secret@bucket?endpoint=http://127.0.0.1:1'));
    const failure = await store.get('a.1').catch((error: Error) => error);
    expect(failure).toMatchObject({ code: 'unavailable' });
    expect(String(failure)).toMatch(/bucket at http:\/\/127\.0\.0\.1:1 cannot be used .*BLOB_URL/);
    expect(String(failure)).not.toContain('secret');
  });

  test('is asked with temporary credentials', async () => {
    const credentials = { accessKeyId: 'TEMP', secretAccessKey: 'x', sessionToken: 'the token' };
    const store = new S3Store(parseS3Url(`s3://bucket/p?endpoint=${fake.url}&region=eu-north-1`, credentials));
    await store.put('a.1', Buffer.from('x'));
    expect(fake.signatures.at(-1)).toMatchObject({ token: 'the token' });
    expect(fake.signatures.at(-1)?.credential).toMatch(/^TEMP\/\d{8}\/eu-north-1\/s3\/aws4_request$/);
  });

  test('is read by a thread that stands still, while another one fetches', async () => {
    // Not in this thread, which could not answer meanwhile.
    const server = new Worker(
      `let broken = 2;
      const server = require('node:http').createServer((req, res) => {
        const { pathname, searchParams } = new URL(req.url, 'http://x');
        const isThere = pathname === '/bucket/p/big.1' && searchParams.has('X-Amz-Signature');
        if (isThere && broken > 0) return (broken -= 1) > 0 ? res.writeHead(503).end('SlowDown') : req.socket.destroy();
        res.writeHead(isThere ? 200 : pathname === '/bucket/p/refused.1' ? 403 : 404).end('x'.repeat(100_000));
      });
      server.listen(0, '127.0.0.1', () => require('node:worker_threads').parentPort.postMessage(server.address().port));`,
      { eval: true, execArgv: [] },
    );
    const [port] = (await once(server, 'message')) as [number];
    const store = s3(`http://127.0.0.1:${port}`, 'p');
    expect(Buffer.from(store.getSync('big.1') ?? []).toString()).toBe('x'.repeat(100_000));
    expect(store.getSync('none.1')).toBeNull();
    expect(() => store.getSync('refused.1')).toThrow(/403.*BLOB_URL/);
    await store.close();
    await server.terminate();
  });

  test('needs somebody who asks for it', () => {
    expect(() => parseS3Url('s3://bucket/p')).toThrow(/AWS_ACCESS_KEY_ID/);
  });
});

describe('opening', () => {
  const owner = { baseDir: '/', ownerId: 'me' };

  test('refuses a folder that cannot be written', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    await expect(openBlobStore({ url: `disk:${file}`, ...owner })).rejects.toThrow(/a-file.*BLOB_URL/);
  });

  test('refuses a bucket that is not there', async () => {
    const url = `s3://k:s@nowhere?endpoint=${fake.url}`;
    await expect(openBlobStore({ url, ...owner })).rejects.toThrow(/nowhere.*cannot be used.*BLOB_URL/);
  });

  test('refuses a store of another database, since each would sweep what the other has', async () => {
    const url = `disk:${join(folder, 'owned')}`;
    await (await openBlobStore({ url, ...owner })).close();
    await (await openBlobStore({ url, ...owner })).close();
    await expect(openBlobStore({ url, baseDir: '/', ownerId: 'you' })).rejects.toThrow(/another database/);
  });

  test('takes relative folders from the project', async () => {
    await openBlobStore({ url: 'disk:./relative', baseDir: folder, ownerId: 'me' });
    expect(await readdir(folder)).toContain('relative');
  });

  test('names the forms that it knows', async () => {
    await expect(openBlobStore({ url: 'ftp://x', ...owner })).rejects.toThrow(/disk:.*s3:/);
  });
});

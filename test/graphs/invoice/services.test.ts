import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { drawPdf } from '../../../graphs/invoice/fixtures/draw.ts';
import { samples } from '../../../graphs/invoice/fixtures/samples.ts';
import { chatModel } from '../../../graphs/invoice/services/chat-model.ts';
import { diskBucket } from '../../../graphs/invoice/services/disk-bucket.ts';
import { PageScanner } from '../../../graphs/invoice/services/page-scanner.ts';
import { startSimulatedModel } from '../../../graphs/invoice/simulated/start-simulated-model.ts';

describe('the disk bucket', () => {
  let folder: string;
  let read: ReturnType<typeof diskBucket>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bucket-'));
    await mkdir(join(folder, 'bucket', '2026'), { recursive: true });
    await writeFile(join(folder, 'secret.pdf'), 'secret');
    await writeFile(join(folder, 'bucket', '2026', '..a.pdf'), 'mine');
    await symlink('../secret.pdf', join(folder, 'bucket', 'link.pdf'));
    read = diskBucket(join(folder, 'bucket'));
  });

  afterAll(() => rm(folder, { recursive: true }));

  test('reads a document by reference', async () => {
    expect(new TextDecoder().decode(await read('disk:2026/..a.pdf'))).toBe('mine');
  });

  test.each([
    'disk:../secret.pdf',
    'disk:2026/../../secret.pdf',
    'disk:/etc/passwd',
    'disk:link.pdf',
    'disk:',
    'disk:..',
  ])('refuses %s, which leads out of it', async (reference) => {
    await expect(read(reference)).rejects.toThrow(`"${reference}" leads out of the bucket`);
  });

  test('names a document that is not there', async () => {
    await expect(read('disk:none.pdf')).rejects.toThrow('"disk:none.pdf" is not in the bucket');
  });

  test('refuses a reference of another kind', async () => {
    await expect(read('https://example.com/a.pdf')).rejects.toThrow('is not a document reference');
  });
});

describe('the page scanner', { timeout: 120_000 }, () => {
  const scanned = samples().find(({ scan }) => scan)!;

  test('reads a page that stands on its head, after one that was cancelled and one that cannot be drawn', async () => {
    const scanner = new PageScanner();
    const onItsHead = await drawPdf({ ...scanned, scan: { degrees: 181 } });
    await expect(scanner.read(onItsHead, AbortSignal.timeout(1000))).rejects.toThrow('timeout');
    await expect(scanner.read(new TextEncoder().encode('%PDF-1.7 broken'))).rejects.toThrow('PDF');
    const { pages, confidence } = await scanner.read(onItsHead);
    expect(pages).toHaveLength(1);
    expect(pages[0]).toContain(scanned.truth.invoice.number);
    expect(confidence).toBeGreaterThan(80);
  });
});

describe('the chat model', () => {
  test('is the one of the key and the address that are given', async () => {
    const { url } = await startSimulatedModel();
    const { chat, name } = await chatModel({ apiKey: 'key', baseUrl: `${url}/v1`, model: 'some-model' })();
    expect(name).toBe('some-model');
    const structured = chat.withStructuredOutput(z.object({}).loose(), { name: 'ledger_accounts' });
    const answer = await structured.invoke('<lines>\n1. Toner\n</lines>');
    expect(answer).toEqual({ assignments: [{ line: 1, account: '6400' }] });
  });

  test('without a key is simulated, says so, and is started once', async () => {
    const model = chatModel({});
    const [first, second] = await Promise.all([model(), model()]);
    expect(first.name).toBe('simulated (aimock)');
    expect(second.chat).toBe(first.chat);
  });

  test('lets a process end that has used it', async () => {
    const graphs = fileURLToPath(new URL('../../../graphs/invoice', import.meta.url));
    const script = `
      const { chatModel } = await import('${graphs}/services/chat-model.ts');
      const { chat } = await chatModel({})();
      const { content } = await chat.invoke('<lines>\\n1. Toner\\n</lines>', {
        response_format: { type: 'json_schema', json_schema: { name: 'ledger_accounts', schema: { type: 'object' } } },
      });
      console.log(content);`;
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      timeout: 20_000,
    });
    expect((await run).stdout).toContain('6400');
  });
});

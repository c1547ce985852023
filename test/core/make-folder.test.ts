import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolder } from '../../src/core/make-folder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-folder-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('a folder is made with those that it is in, and made again is left as it is', () => {
  const path = join(folder, 'a', 'b', 'c');
  expect(makeFolder(path, 0o700)).toBe(join(folder, 'a'));
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(makeFolder(path)).toBeUndefined();
  expect(makeFolder(join(folder, 'a', 'd'))).toBe(join(folder, 'a', 'd'));
  expect(makeFolder('/')).toBeUndefined();
});

it('where a file is in its way, or nothing can be made, the file system says so', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => makeFolder(join(folder, 'file'))).toThrow('EEXIST');
  expect(() => makeFolder(join(folder, 'file', 'below'))).toThrow('ENOTDIR');
  // Node's own way never comes back from there.
  expect(() => makeFolder('/proc/baton/below')).toThrow(/ENOENT|EACCES|EPERM|EROFS/);
});

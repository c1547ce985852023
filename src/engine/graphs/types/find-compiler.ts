import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** TypeScript 7 has no API that would stay; Microsoft's package for those who need one is TypeScript 6. */
const PACKAGES = ['typescript', '@typescript/typescript6'];

/** The module of the TypeScript compiler that a project brings along; null when none has the API that is needed. */
export function findCompiler(projectDir: string): string | null {
  const { resolve } = createRequire(join(projectDir, 'package.json'));
  for (const name of PACKAGES) {
    try {
      const { version } = JSON.parse(readFileSync(resolve(`${name}/package.json`), 'utf8')) as { version: string };
      const major = Number.parseInt(version, 10);
      if (major === 5 || major === 6) return resolve(name);
    } catch {
      // Not installed: the next one may be.
    }
  }
  return null;
}

import { createHash } from 'node:crypto';

/** The name of a content: the same for the same content only. 22 characters of base64url. */
export function contentName(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('base64url').slice(0, 22);
}

import { textFault } from '../../core/json.ts';

/** A path, a key and the path of an indexed field stand in one entry of an index, which holds some 2,700 bytes. */
const MAX_BYTES = 1000;

/**
 * PostgresStore joins labels with `:` and refuses those that have one of LIKE's wildcards, `user_1` among them. So a label is
 * written without them: `~` and the character's code in hexadecimal.
 */
const RESERVED = /[%_\\.:~]/g;

export function encodeLabel(label: string): string {
  return label.replaceAll(RESERVED, (character) => `~${character.charCodeAt(0).toString(16)}`);
}

export function decodeLabel(label: string): string {
  return label.replaceAll(/~([0-9a-f]{2})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
}

/** As `namespace_path` has it. */
export function toPath(namespace: readonly string[]): string {
  return namespace.map(encodeLabel).join(':');
}

export function fromPath(path: string): string[] {
  return path.split(':').map(decodeLabel);
}

/** Why nothing can be kept under these labels, or null. An empty namespace has no fault: it is that of everything. */
export function namespaceFault(namespace: readonly string[]): string | null {
  for (const label of namespace) {
    if (label === '') return 'has an empty label';
    if (label.includes('.')) return `has a label with a period, "${label}", which separates labels`;
    const fault = textFault(label);
    if (fault) return `has a label that ${fault}`;
  }
  return tooLong(toPath(namespace));
}

/** Why nothing can be kept under this key, or null. */
export function keyFault(key: string): string | null {
  return textFault(key) ?? tooLong(key);
}

/** Characters with a meaning count threefold. */
function tooLong(text: string): string | null {
  return Buffer.byteLength(text) > MAX_BYTES ? `has more than ${MAX_BYTES} bytes` : null;
}

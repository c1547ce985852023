import { createHash, randomBytes } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** RFC 9562 name space for DNS names; the platform derives the ids of system assistants from it. */
const DNS_NAMESPACE = '6ba7b821-9dad-11d1-80b4-00c04fd430c8';

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** A UUID of version 7: ids made later sort later (to the millisecond). */
export function uuidv7(nowMs: number = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  return format(bytes, 7);
}

/** The id of the system assistant of a graph: the same on every server (UUID version 5 of the graph's id). */
export function systemAssistantId(graphId: string): string {
  return nameUuid(graphId);
}

/** A name as a UUID of version 5: the same for the same name. */
export function nameUuid(name: string): string {
  const namespace = Buffer.from(DNS_NAMESPACE.replaceAll('-', ''), 'hex');
  return format(createHash('sha1').update(namespace).update(name).digest().subarray(0, 16), 5);
}

function format(bytes: Buffer, version: number): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | (version << 4), 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

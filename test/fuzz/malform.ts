import type { Random } from '../random.ts';
import { HUGE_VALUES, ODD_KEYS, ODD_VALUES, Raw, toText } from './odd-values.ts';

export function oddValue(random: Random): unknown {
  return random.pick(random.chance(0.01) ? HUGE_VALUES : ODD_VALUES);
}

/** The value with one thing wrong in it, wherever that stands. */
export function malform(value: unknown, random: Random): unknown {
  const isInner = typeof value === 'object' && value !== null && !(value instanceof Raw);
  const keys = isInner ? Object.keys(value) : [];
  if (!isInner || keys.length === 0 || random.chance(0.15)) return changed(value, random);
  const key = random.pick(keys);
  const item: unknown = Reflect.get(value, key);
  if (Array.isArray(value)) return value.with(Number(key), malform(item, random));
  const entries = Object.entries(value);
  switch (random.int(0, 5)) {
    case 0:
      return Object.fromEntries(entries.filter(([name]) => name !== key));
    case 1:
      return Object.fromEntries([...entries, [random.pick(ODD_KEYS), oddValue(random)]]);
    case 2:
      return Object.fromEntries(entries.map(([name, old]) => [name === key ? random.pick(ODD_KEYS) : name, old]));
    default:
      return Object.fromEntries(entries.map(([name, old]) => [name, name === key ? malform(old, random) : old]));
  }
}

function changed(value: unknown, random: Random): unknown {
  switch (random.int(0, 7)) {
    case 0:
      return [value];
    case 1:
      return { [random.pick(ODD_KEYS)]: value };
    case 2:
      return toText(value);
    case 3:
      return [value, oddValue(random), value];
    default:
      return oddValue(random);
  }
}

/** Bytes that begin as JSON and are none, or not quite. */
export function malformBytes(bytes: Buffer, random: Random): Buffer {
  const at = random.int(0, bytes.length);
  switch (random.int(0, 6)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.int(1, 8)), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([Buffer.from('\ufeff'), bytes]);
    case 3:
      return Buffer.concat([bytes, bytes]);
    case 4:
      return Buffer.from(bytes.toString(), 'utf16le');
    case 5:
      return random.bytes(random.int(0, 100));
    default:
      return Buffer.alloc(0);
  }
}

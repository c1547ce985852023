import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { clearMetadata } from '../../src/core/clear-metadata.ts';
import { type CodecContext, plainCodec } from '../../src/core/codec.ts';
import { seal, unseal } from '../../src/core/envelope.ts';
import { SealingCodec } from '../../src/state/codec/sealing-codec.ts';
import { MemoryKeys } from '../memory-keys.ts';

const keys = new MemoryKeys();
const options = { keys, readsPlain: false, clearMetadata: clearMetadata([]) };
const codec = new SealingCodec(options);
const migrating = new SealingCodec({ ...options, readsPlain: true });

const PLACES: CodecContext[] = [
  { thread_id: 'a', checkpoint_ns: '', kind: 'checkpoint', id: 'c1' },
  { thread_id: 'a', checkpoint_ns: '', kind: 'writes', id: 'c1', task_id: 't1' },
  { thread_id: 'a', checkpoint_ns: '', kind: 'value', id: 'v1' },
  { thread_id: 'a', checkpoint_ns: '', kind: 'effect', id: 'e1' },
];
const text = JSON.stringify({ secret: 'the pelican walks at noon', body: 'x'.repeat(50) });

/** Every other place that the same bytes could be put in. */
function elsewhere(place: CodecContext): CodecContext[] {
  return [
    ...PLACES.filter((other) => other !== place),
    { ...place, thread_id: 'b' },
    { ...place, checkpoint_ns: 'sub' },
    { ...place, id: `${place.id}0` },
    { ...place, id: '', checkpoint_ns: place.id },
    ...(place.task_id === undefined ? [{ ...place, task_id: '' }] : [{ ...place, task_id: 't2' }]),
  ];
}

describe.each(PLACES)('a sealed $kind', (place) => {
  it('opens at its place, and shows nothing of what it holds', async () => {
    const sealed = Buffer.from(await codec.encode(text, place));
    expect(await codec.decode(sealed, place)).toBe(text);
    for (const form of ['latin1', 'base64', 'hex'] as const) {
      expect(sealed.toString(form)).not.toContain(Buffer.from('pelican').toString(form).slice(0, 8));
    }
  });

  it('does not open at any other place', async () => {
    await codec.encode(text, { ...place, thread_id: 'b' }); // so that the other thread has a key
    const sealed = await codec.encode(text, place);
    for (const other of elsewhere(place)) {
      await expect(async () => codec.decode(sealed, other)).rejects.toMatchObject({
        code: 'unreadable_value',
        message: expect.stringContaining('delete the thread') as string,
      });
    }
  });

  it('does not open when a bit of it was changed, or when it was cut', async () => {
    const sealed = Buffer.from(await codec.encode(text, place));
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      await expect(async () => codec.decode(changed, place)).rejects.toThrow('delete the thread');
    }
    for (let length = 0; length < sealed.length; length += 1) {
      await expect(async () => codec.decode(sealed.subarray(0, length), place)).rejects.toThrow('delete the thread');
    }
  });

  it('is refused in plain, with the way out, unless the store is being moved', async () => {
    const plain = await plainCodec.encode(text, place);
    await expect(async () => codec.decode(plain, place)).rejects.toThrow(
      /baton state copy --from postgres:.* --to encrypted\+postgres:.*migrate=plain/,
    );
    expect(await migrating.decode(plain, place)).toBe(text);
    expect(await codec.decode(await migrating.encode(text, place), place)).toBe(text);
  });
});

describe('the sealing codec', () => {
  it.each([0, 1, 1000, 1024, 5000, 70_000, 2_000_000])('gives back a text of %d characters', async (length) => {
    const place = { ...PLACES[2], thread_id: 'sizes' } as CodecContext;
    const random = JSON.stringify(randomBytes(length).toString('latin1').slice(0, length));
    const repeating = JSON.stringify('état '.repeat(length / 5));
    for (const given of [random, repeating]) {
      const sealed = await codec.encode(given, place);
      expect(await codec.decode(sealed, place)).toBe(given);
      expect(sealed.length).toBeLessThan(Buffer.byteLength(given) + 60);
    }
    expect((await codec.encode(repeating, place)).length).toBeLessThan(Math.max(1100, length / 10));
  });

  it('works at once when the key is there, as the path of every step needs it', () => {
    const place = PLACES[0] as CodecContext;
    const sealed = codec.encode(text, place);
    expect(sealed).toBeInstanceOf(Uint8Array);
    expect(codec.decode(sealed as Uint8Array, place)).toBe(text);
    expect(codec.idOf(text, 'a')).toMatch(/^[\w-]{22}$/);
  });

  it('names equal contents the same within a thread, and otherwise in every other', async () => {
    expect(await codec.idOf(text, 'a')).toBe(await codec.idOf(text, 'a'));
    expect(await codec.idOf(text, 'a')).not.toBe(await codec.idOf(text, 'b'));
    expect(await codec.idOf(text, 'a')).not.toBe(await plainCodec.idOf(text, 'a'));
  });

  it('seals the same text differently each time', () => {
    const [one, two] = [1, 2].map(() => codec.encode(text, PLACES[0] as CodecContext));
    expect(one).not.toEqual(two);
  });

  it('opens nothing of a thread whose key is gone', async () => {
    const place = { ...PLACES[0], thread_id: 'gone' } as CodecContext;
    const sealed = await codec.encode(text, place);
    keys.shred('gone');
    await expect(async () => codec.decode(sealed, place)).rejects.toThrow('key was deleted');
    keys.of('gone'); // one of the same name begins
    await expect(async () => codec.decode(sealed, place)).rejects.toMatchObject({ code: 'unreadable_value' });
  });
});

describe('an envelope', () => {
  it('takes no two places for one another, however their texts are cut', () => {
    const key = keys.of('a');
    const sealed = seal(key, Buffer.from('x'), ['ab', 'c']);
    for (const place of [['a', 'bc'], ['abc'], ['ab', 'c', ''], ['', 'ab', 'c'], ['ab\0c']]) {
      expect(unseal(key, sealed, place)).toBeNull();
    }
    expect(unseal(key, sealed, ['ab', 'c'])?.bytes.toString()).toBe('x');
  });
});

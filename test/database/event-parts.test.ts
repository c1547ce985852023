import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parted } from '../../src/database/event-parts.ts';

const chance = (name: string, length: number): string =>
  createHash('shake256', { outputLength: length }).update(name).digest('base64').slice(0, length);
const whole = (text: string): string => {
  const { head, ids, parts } = parted(text, (hash) => hash) ?? { head: '', ids: [], parts: new Map<string, string>() };
  return head + ids.map((id) => parts.get(id)).join('');
};
const idsOf = (text: string): string[] => parted(text, (hash) => hash)?.ids ?? [];

describe('a long text in parts', () => {
  it('is the text', () => {
    const texts = [
      chance('one', 100_000),
      'x'.repeat(300_000),
      chance('two', 16_384),
      // Characters of two code units, which must not be torn apart: at either place of a pair.
      '𝒳'.repeat(100_000),
      `-${'𝒳'.repeat(100_000)}`,
      `{"a":${JSON.stringify('日本語'.repeat(50_000))}}`,
    ];
    for (const text of texts) {
      expect(whole(text)).toBe(text);
      const { head = '', parts = new Map<string, string>() } = parted(text, (hash) => hash) ?? {};
      for (const part of [head, ...parts.values()]) expect(part.isWellFormed()).toBe(true);
    }
  });

  it('is left whole when it is short', () => {
    expect(parted('x'.repeat(16_383), (hash) => hash)).toBeNull();
  });

  it('shares its parts with a text that says the same before or after something else', () => {
    const text = chance('long', 400_000);
    const known = new Set(idsOf(`{"n":1,"raw":"${text}"}`));
    const others = [`{"n":1000,"raw":"${text}"}`, `{"n":1,"raw":"${text}","more":"${chance('m', 1000)}"}`];
    for (const other of others) expect(idsOf(other).filter((id) => !known.has(id)).length).toBeLessThanOrEqual(3);
    expect(known.size).toBeGreaterThan(20);
  });

  it('shares all but its end with a list that grew', () => {
    const items = Array.from({ length: 300 }, (_, index) => ({ id: index, text: chance(`${index}`, 900) }));
    const known = new Set(idsOf(JSON.stringify({ items: items.slice(0, -1) })));
    expect(idsOf(JSON.stringify({ items })).filter((id) => !known.has(id)).length).toBeLessThanOrEqual(2);
  });
});

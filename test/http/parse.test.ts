import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parse } from '../../src/http/parse.ts';

const schema = z.strictObject({
  name: z.string().refine((name) => name !== 'taken', 'is taken'),
  list: z.array(z.strictObject({ id: z.number() })).optional(),
});

describe('parse', () => {
  it('reports what is unknown at any depth, and still checks the rest', () => {
    const input = { name: 'free', extra: 1, list: [{ id: 1 }, { id: 2, more: true }] };
    expect(parse(schema, input, 'body')).toEqual({
      value: { name: 'free', list: [{ id: 1 }, { id: 2 }] },
      unknown: expect.toSatisfy((paths: string[]) => paths.toSorted().join() === 'extra,list.1.more'),
    });
    expect(() => parse(schema, { name: 'taken', extra: 1 }, 'body')).toThrow('body.name: is taken');
  });

  it('shows the first problems and counts the others', () => {
    const list = Array.from({ length: 8 }, () => ({}));
    expect(() => parse(schema, { name: 'x', list }, 'body')).toThrow(/list\.4\.id: is missing; and 3 more$/);
  });
});

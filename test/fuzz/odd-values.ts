/** JSON text that no value of JavaScript becomes. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const nested = (open: string, close: string, levels: number) => new Raw(open.repeat(levels) + close.repeat(levels));

/** What a body, a query or a path may hold where something else is expected. */
export const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 53,
  new Raw('-0'),
  new Raw('1e400'),
  new Raw('1e-400'),
  new Raw('123456789012345678901234567890'),
  '',
  ' ',
  '\u0000',
  '\ud800',
  '🙂',
  '\\',
  "'; --",
  '%',
  '%00',
  '../../..',
  '*',
  '__copy__',
  '__end__',
  '__input__',
  '__start__',
  '__proto__',
  'a',
  'child|deeper:',
  '2026-02-30T25:61:00Z',
  '00000000-0000-0000-0000-000000000000',
  '6BA7B821-9DAD-11D1-80B4-00C04FD430C8',
  'x'.repeat(300),
  [],
  [null],
  [[]],
  ['a', 'a'],
  {},
  { '': {} },
  { $gt: '' },
  { $eq: { $ne: null } },
  { toString: 1, constructor: null },
  { lg_name: 'Command', goto: [{ node: 'a', input: null }], resume: null },
  { lc: 1, type: 'constructor', id: ['langchain', 'schema', 'messages', 'HumanMessage'], kwargs: {} },
  { role: 'nobody', content: [{ type: 'image_url' }] },
  new Raw('{"a": 1, "__proto__": {"polluted": true}}'),
  new Raw('{"a": 1, "a": {"b": 2}}'),
  nested('[', ']', 501),
  nested('[', ']', 100_000),
  nested('{"a":', '}', 400),
];
/** These cost time: now and then. */
export const HUGE_VALUES: readonly unknown[] = [
  'y'.repeat(1_000_000),
  Array.from({ length: 20_000 }, (_, index) => index),
  Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`key ${index}`, {}])),
];

export const ODD_KEYS: readonly string[] = [
  '',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'a.b[0]',
  'a"\r\nb: c',
  '\ud800',
  '\u0000',
  'thread_id',
  'checkpoint_ns',
  'checkpoint_id',
  'checkpoint_map',
  'configurable',
  'metadata',
  'run_id',
  'messages',
  'log',
  'k'.repeat(5000),
];

/** As JSON.stringify, for what may contain {@link Raw}. */
export function toText(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(toText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}:${toText(item)}`)
    .join(',')}}`;
}

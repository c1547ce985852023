import { z } from 'zod';
import type { Thread } from '../../core/thread.ts';

const PATH = /^(values|metadata|config|interrupts)(\.[^.[\]]+|\[-?\d{1,9}\])*$/;

/** What is asked for of each thread that is found: by a name, the path to it. */
export const extraction = z
  .record(
    z.string().min(1),
    z
      .string()
      .max(1000)
      .regex(PATH, 'is no path: write it as "values.messages[-1]", of values, metadata, config or interrupts'),
  )
  .refine((asked) => Object.keys(asked).length <= 10, 'has more than 10 paths');

/** What is at the paths; null where there is nothing. */
export function extracted(thread: Thread, paths: z.output<typeof extraction>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, at(thread, path) ?? null]));
}

function at(thread: object, path: string): unknown {
  const steps = path.match(/[^.[\]]+/g) ?? [];
  return steps.reduce<unknown>((value, step) => {
    if (Array.isArray(value)) return /^-?\d+$/.test(step) ? (value as unknown[]).at(Number(step)) : undefined;
    const holds = typeof value === 'object' && value !== null && Object.hasOwn(value, step);
    return holds ? (value as Record<string, unknown>)[step] : undefined;
  }, thread);
}

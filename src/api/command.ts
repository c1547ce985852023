import { z } from 'zod';
import type { CommandJson, SendCommand } from '../core/run.ts';
import { json } from '../http/fields.ts';

/** As the platform writes it (`input`) and as LangGraph's own Send does (`args`). */
const send = z
  .looseObject({ node: z.string(), input: json.optional(), args: json.optional() })
  .transform(({ node, input, args }): SendCommand => ({ node, input: input ?? args ?? null }));
const target = z.union([z.string(), send]);

/** `resume: null` is an answer; an absent one is none. */
export const command = z
  .strictObject({
    update: json.optional(),
    resume: json.optional(),
    goto: z.union([target, z.array(target)]).nullish(),
    /** LangGraph's own Command says so of itself. */
    lg_name: z.unknown().optional(),
  })
  .transform(({ update, resume, goto }): CommandJson => ({
    ...(update !== undefined && { update }),
    ...(resume !== undefined && { resume }),
    ...(goto !== undefined && goto !== null && { goto }),
  }));

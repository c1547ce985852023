import { InvalidInputError } from '../../core/errors.ts';
import type { CommandJson } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';

/**
 * LangGraph takes `resume: null` for no answer at all, and only a named one may be null: so the question is named here.
 * Beside an update or a place to go to, null means what LangGraph says. Throws InvalidInputError when it is not clear which
 * question is meant.
 */
export function withNamedNull(command: CommandJson, thread: Thread | null, atCheckpoint: boolean): CommandJson {
  if (command.resume !== null || command.update !== undefined || command.goto !== undefined) return command;
  const ids = Object.values(thread?.interrupts ?? {}).flatMap((questions) => questions.map(({ id }) => id));
  const [id] = ids;
  if (thread?.status !== 'interrupted' || atCheckpoint || ids.length !== 1 || id === undefined) {
    throw new InvalidInputError(
      'body.command.resume: is null, and it is not clear which question that answers: write {"<interrupt id>": null}',
    );
  }
  return { resume: { [id]: null } };
}

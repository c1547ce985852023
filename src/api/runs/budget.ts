import { z } from 'zod';
import { BudgetLimits } from '../../config/usage-settings.ts';
import type { RunConfig } from '../../core/assistant.ts';
import { type Budget, openBudgetQuestion } from '../../core/budget.ts';
import { InvalidInputError } from '../../core/errors.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { CheckpointRef, CommandJson, RunKwargs } from '../../core/run.ts';
import type { Thread } from '../../core/thread.ts';

const Answer = z.strictObject({ budget: BudgetLimits });

/** What a run may spend, and its command, of which the answer to the question of a spent budget is not for the graph. Throws InvalidInputError. */
export function withBudget(
  asks: { command: CommandJson | undefined; config: RunConfig; checkpoint: CheckpointRef | undefined },
  thread: Thread | null,
  ofGraph: Budget | undefined,
): Pick<RunKwargs, 'command' | 'budget' | 'answers_budget'> {
  const { command, config, checkpoint } = asks;
  // A checkpoint's own questions are the graph's.
  const lifted = checkpoint ? null : liftedBudget(command, thread);
  if (lifted) return { ...lifted, answers_budget: true };
  const budget = budgetOf(config.configurable, ofGraph);
  return { ...(command && { command }), ...(budget && { budget }) };
}

/** Undefined: anything. */
function budgetOf(configurable: JsonObject | undefined, ofGraph: Budget | undefined): Budget | undefined {
  const given = configurable?.['baton_budget'] ?? undefined;
  if (given === undefined) return ofGraph;
  const { data, error } = BudgetLimits.safeParse(given);
  if (!data) throw new InvalidInputError(`body.config.configurable.baton_budget: ${firstIssue(error)}`);
  return { ...ofGraph, ...data };
}

/**
 * What a command answers to the question of a spent budget, and the budget of the run that goes on; null when it is for the
 * graph. Limits that the answer does not name are granted once more. Throws InvalidInputError for any other answer.
 */
function liftedBudget(
  command: CommandJson | undefined,
  thread: Thread | null,
): { command: CommandJson; budget: Budget } | null {
  const question = thread && openBudgetQuestion(thread);
  if (!question?.id || command?.resume === undefined) return null;
  const { budget } = question.value as unknown as { budget: Budget };
  const answer = answerTo(question.id, command.resume);
  const { data, error } = answer === true ? { data: { budget }, error: undefined } : Answer.safeParse(answer);
  if (!data) {
    throw new InvalidInputError(
      `body.command.resume: the thread waits to be told whether its run may spend more. Answer true for as much once more, or {"budget": {"cost": 1, "tokens": 100000, "seconds": 60}}, or begin anew with an input (${firstIssue(error)})`,
    );
  }
  return { command: { ...command, resume: { [question.id]: answer } }, budget: { ...budget, ...data.budget } };
}

/** By name, or as the only answer. */
function answerTo(id: string, resume: Json): Json {
  const isNamed = typeof resume === 'object' && resume !== null && !Array.isArray(resume) && id in resume;
  return isNamed ? (resume[id] ?? null) : resume;
}

function firstIssue(error: z.ZodError | undefined): string {
  const [issue] = error?.issues ?? [];
  return `${issue?.path.join('.')}: ${issue?.message}`;
}

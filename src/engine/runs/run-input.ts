import { Command, Send } from '@langchain/langgraph';
import type { CommandJson, RunKwargs, SendCommand } from '../../core/run.ts';

/** What the graph is invoked with: the input, or the Command that the wire's JSON stands for. */
export function runInput({ input, command, answers_budget }: RunKwargs): unknown {
  if (!command) return input ?? null;
  if (!answers_budget) return toCommand(command);
  const { resume: _answer, ...rest } = command;
  return Object.keys(rest).length > 0 ? toCommand(rest) : null;
}

export function toCommand({ update, resume, goto }: CommandJson): Command {
  return new Command({
    ...(update !== undefined && update !== null && { update: update as Record<string, unknown> }),
    ...(resume !== undefined && { resume }),
    ...(goto !== undefined && { goto: Array.isArray(goto) ? goto.map(toTarget) : toTarget(goto) }),
  });
}

function toTarget(target: string | SendCommand): string | Send {
  return typeof target === 'string' ? target : new Send(target.node, target.input);
}

import { InvalidInputError } from '../core/errors.ts';
import { withIdleServer } from './idle-server.ts';
import type { CliOptions } from './options.ts';

/** `baton state copy`: threads from one state store to another. Both may be in use; the source keeps all it has. */
export async function state({ words, from, to, threads, graph, dryRun, ...options }: CliOptions): Promise<void> {
  if (words.join(' ') !== 'copy') throw new InvalidInputError('what about the state? Write baton state copy');
  await withIdleServer(options, async (server) => {
    const request = { from, to, threads: threads ?? undefined, graphId: graph ?? undefined, dryRun };
    const sum = await server.copyState(request, (line) => console.log(line));
    const did = dryRun ? 'would be copied' : 'copied and verified';
    console.log(
      `${sum.threads} threads ${did}: ${sum.checkpoints} checkpoints (${sum.added} new), ${sum.bytes} bytes; ${sum.left} left`,
    );
    if (sum.left > 0) process.exitCode = 1;
  });
}

import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { campaign } from './campaign.ts';

interface Mutant {
  name: string;
  /** Below src. */
  file: string;
  from: string;
  to: string;
  /** What brings it to light. */
  kinds: string[];
}

/** Baton, broken on purpose: promises that the suite must see broken. */
const MUTANTS: Mutant[] = [
  {
    name: 'the fence lets everybody through',
    file: 'state/drivers/postgres/batch-text.ts',
    from: ' and fence.token <= change.token',
    to: '',
    kinds: ['partition a worker', 'freeze a worker'],
  },
  {
    name: 'an effect is said to be done before it is recorded',
    file: 'engine/effects/run-effects.ts',
    from: 'await outliveConnections(() => this.#parts.effects.done(turn, bytes));',
    to: 'setTimeout(() => void this.#parts.effects.done(turn, bytes).catch(() => undefined), 300);',
    kinds: ['kill a worker', 'freeze a worker'],
  },
  {
    name: 'a checkpoint is said to be stored before it is',
    file: 'state/checkpoints/checkpoint-writer.ts',
    from: 'await this.#acknowledged(change, this.#driver.put(change));',
    to: 'setTimeout(() => void this.#driver.put(change).catch(() => undefined), 300);',
    kinds: ['kill a worker'],
  },
  {
    name: 'a reader replays the log before he subscribes',
    file: 'engine/streams/run-streams.ts',
    from: `    const inbox = this.#subscribe(runId);
    const onAbort = () => inbox.wake();
    signal.addEventListener('abort', onAbort);
    let last = afterSeq;`,
    to: `    let last = afterSeq;
    for (const event of await this.#events.after(runId, last, PAGE)) {
      yield event;
      last = event.seq;
      if (event.event === END_EVENT) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const inbox = this.#subscribe(runId);
    inbox.mustLook = false;
    const onAbort = () => inbox.wake();
    signal.addEventListener('abort', onAbort);`,
    kinds: ['cut connections'],
  },
];

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

/** Tries the suite itself: a campaign against each mutant. Returns those that it let pass. */
export async function survivors(options: {
  ms: number;
  seed: number;
  only?: string;
  log: (line: string) => void;
}): Promise<string[]> {
  const survived: string[] = [];
  for (const mutant of MUTANTS) {
    if (options.only && !mutant.name.includes(options.only)) continue;
    const baton = await breed(mutant);
    try {
      const { violations } = await campaign({ ...options, baton, kinds: mutant.kinds });
      const rules = [...new Set(violations.map(({ rule }) => rule))];
      options.log(`${rules.length > 0 ? 'seen    ' : 'SURVIVED'}  ${mutant.name}: ${rules.join('; ')}`);
      if (rules.length === 0) survived.push(mutant.name);
    } finally {
      await rm(baton, { recursive: true, force: true });
    }
  }
  return survived;
}

/** A copy of Baton with the mutation in it. */
async function breed({ name, file, from, to }: Mutant): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'baton-mutant-'));
  for (const part of ['src', 'bin', 'package.json', 'tsconfig.json'])
    await cp(join(CHECKOUT, part), join(copy, part), { recursive: true });
  await symlink(join(CHECKOUT, 'node_modules'), join(copy, 'node_modules'));
  const path = join(copy, 'src', file);
  const source = await readFile(path, 'utf8');
  if (source.split(from).length !== 2)
    throw new Error(`The mutation "${name}" no longer fits ${file}: change it with the code`);
  await writeFile(
    path,
    source.replace(from, () => to),
  );
  return copy;
}

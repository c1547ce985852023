import { parseArgs } from 'node:util';
import { campaign } from './campaign.ts';
import { HEARD_BY_THE_NET } from './checks.ts';
import { survivors } from './mutants.ts';
import { reportLines } from './report.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    kinds: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    only: { type: 'string' },
    state: { type: 'string' },
  },
});
const seed = Number(values.seed);
const ms = Number(values.minutes) * 60_000;
console.log(`chaos for ${values.minutes} min, seed ${seed}`);
if (values.mutants) {
  const survived = await survivors({ ms, seed, ...(values.only && { only: values.only }), log: console.log });
  process.exit(survived.length > 0 ? 1 : 0);
}
const report = await campaign({
  ms,
  seed,
  ...(values.kinds && { kinds: values.kinds.split(',') }),
  ...(values.state && { stateUrl: values.state }),
  log: console.error,
});
console.log(reportLines(report).join('\n'));
process.exit(report.violations.some(({ rule }) => rule !== HEARD_BY_THE_NET) ? 1 : 0);

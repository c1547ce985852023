import { setMaxListeners } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { Comparison } from './compare.ts';
import { Gates } from './gates.ts';
import { Judge } from './judge.ts';
import { isOfficial, operationOf } from './operations.ts';
import { checkOldClient } from './old-client.ts';
import { parityPage, type Result } from './parity.ts';
import { Player } from './player.ts';
import { report } from './report.ts';
import type { Scenario } from './scenario.ts';
import { startBaton, startReference, type RunningServer } from './servers.ts';
import { SCENARIOS } from './table/scenarios.ts';

/** How many scenarios are played at once: most of the time the reference server sleeps. */
const AT_ONCE = 20;
/** For all scenarios together. A run takes a sixth of it on two idle cores. */
const WHOLE_MS = 240_000;
const STOP_MS = 20_000;
const PAGE = fileURLToPath(new URL('../../docs/parity.md', import.meta.url));

const USAGE = `npm run conformance -- [--check] [--baton-only <times>] [part of a scenario's name ...]

Without names all scenarios are compared, and docs/parity.md is written; with --check it has to be up to date already.
With --baton-only the scenarios are played against Baton alone, that often, to see whether it hangs.`;

/** Compares Baton with the official server over the whole table, or over the scenarios whose names contain an argument. */
async function main(): Promise<void> {
  const options = { check: { type: 'boolean' }, 'baton-only': { type: 'string' }, help: { type: 'boolean' } } as const;
  const { values, positionals: wanted } = parseArgs({ options, allowPositionals: true });
  const scenarios = SCENARIOS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
  if (values.help) console.log(USAGE);
  else if (values['baton-only']) await playBaton(scenarios, Number(values['baton-only']));
  else await compareServers(scenarios, { isWhole: wanted.length === 0, checks: values.check ?? false });
}

async function compareServers(
  scenarios: readonly Scenario[],
  { isWhole, checks }: { isWhole: boolean; checks: boolean },
) {
  const startedAt = performance.now();
  const [reference, baton, ...gates] = await Promise.all([
    startReference(),
    startBaton(),
    Gates.listen(),
    Gates.listen(),
  ]);
  try {
    const deadline = AbortSignal.timeout(WHOLE_MS);
    setMaxListeners(0, deadline);
    const players: Players = {
      reference: new Player(reference.url, gates[0], deadline),
      baton: new Player(baton.url, gates[1], deadline),
    };
    const own = await operationsOf(baton.url);
    const results = (await playAll(scenarios, (next) => playBoth(next, players))).map((result) =>
      withoutMissing(result, own),
    );
    let failures = report(results);
    if (isWhole) {
      const faults = await checkOldClient(baton.url);
      for (const fault of faults) console.log(fault);
      failures += faults.length + (await keepPage(parityPage(results, own), checks));
    }
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const answers = results.reduce((sum, result) => sum + result.answers.length, 0);
    console.log(`${results.length} scenarios, ${answers} answers compared in ${seconds} s: ${failures} unintended`);
    process.exitCode = failures > 0 ? 1 : 0;
  } finally {
    await Promise.all([stop('reference', reference), stop('Baton', baton), ...gates.map((gate) => gate.close())]);
  }
}

async function playBaton(scenarios: readonly Scenario[], times: number): Promise<void> {
  const [baton, gates] = await Promise.all([startBaton(), Gates.listen()]);
  try {
    const never = new AbortController().signal;
    setMaxListeners(0, never);
    const player = new Player(baton.url, gates, never);
    const rounds = Array.from({ length: times }, (_, round) =>
      scenarios.map((scenario) => ({ ...scenario, name: `${scenario.name}, round ${round}` })),
    );
    const played = await playAll(rounds.flat(), async (next) => ({ name: next.name, ...(await player.play(next)) }));
    const broken = played.filter((one) => one.broken !== null);
    for (const { name, broken: why } of broken) console.log(`broke off: ${name}: ${why}`);
    console.log(`${played.length} scenarios played, ${broken.length} broke off`);
    process.exitCode = broken.length > 0 ? 1 : 0;
  } finally {
    await Promise.all([stop('Baton', baton), gates.close()]);
  }
}

interface Players {
  reference: Player;
  baton: Player;
}

async function playAll<T>(scenarios: readonly Scenario[], play: (scenario: Scenario) => Promise<T>): Promise<T[]> {
  const results = new Map<Scenario, T>();
  const queue = scenarios.filter(({ alone }) => !alone);
  const take = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) results.set(next, await play(next));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  for (const scenario of scenarios.filter(({ alone }) => alone)) results.set(scenario, await play(scenario));
  return scenarios.flatMap((scenario) => results.get(scenario) ?? []);
}

const judge = new Judge();

async function playBoth(scenario: Scenario, { reference, baton }: Players): Promise<Result> {
  const { name } = scenario;
  const [expected, actual] = await Promise.all([reference.play(scenario), baton.play(scenario)]);
  const comparison = new Comparison();
  const both = Math.min(expected.answers.length, actual.answers.length);
  for (const [index, answer] of expected.answers.slice(0, both).entries()) {
    const other = actual.answers[index];
    if (other) comparison.answers(answer, other);
  }
  const findings = comparison.differences.map((difference) => judge.judge(name, difference));
  return {
    scenario: name,
    answers: expected.answers.slice(0, both).map(({ request }) => operationOf(request) ?? request),
    findings,
    broken: [
      ...(expected.broken === null ? [] : [`reference: ${expected.broken}`]),
      ...(actual.broken === null ? [] : [`Baton: ${actual.broken}`]),
    ],
  };
}

/** What Baton does not serve yet is said once, on the page, and not by each scenario. */
function withoutMissing(result: Result, own: readonly string[]): Result {
  const isThere = (operation: string | null) => operation === null || !isOfficial(operation) || own.includes(operation);
  return {
    ...result,
    answers: result.answers.filter(isThere),
    findings: result.findings.filter(({ operation }) => isThere(operation)),
  };
}

/** `METHOD /path` of all that Baton serves. */
async function operationsOf(url: string): Promise<string[]> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, object> };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** Returns how many faults that is: 1 when the page should have been up to date and is not. */
async function keepPage(page: string, checks: boolean): Promise<number> {
  for (const { path, reason } of judge.unused()) console.log(`A rule for ${String(path)} never applied: ${reason}`);
  if (!checks) {
    await writeFile(PAGE, page);
    return 0;
  }
  const kept = await readFile(PAGE, 'utf8');
  if (kept === page) return 0;
  const [was, is] = [kept, page].map((text) => text.split('\n'));
  const line = is?.findIndex((text, index) => text !== was?.[index]) ?? 0;
  console.log(`docs/parity.md is not up to date: run npm run conformance and commit it. Line ${line + 1}:`);
  console.log(`    kept: ${was?.[line] ?? ''}\n    now:  ${is?.[line] ?? ''}`);
  return 1;
}

/** A server that does not stop is left behind with a word: the process ends without it. */
async function stop(name: string, server: RunningServer): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      console.log(`${name} did not stop within ${STOP_MS} ms`);
      process.exitCode = 1;
      resolve();
    }, STOP_MS);
  });
  await Promise.race([server.stop(), late]);
  clearTimeout(timer);
}

await main();
process.exit();

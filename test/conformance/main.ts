import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ABSENT, Comparison } from './compare.ts';
import { Gates } from './gates.ts';
import { Judge, type Finding } from './judge.ts';
import { isOfficial, operationOf } from './operations.ts';
import { parityPage, type Result } from './parity.ts';
import { Player } from './player.ts';
import type { Scenario } from './scenario.ts';
import { startBaton, startReference } from './servers.ts';
import { SCENARIOS } from './table/scenarios.ts';

/** How many scenarios are played at once: most of the time the reference server sleeps. */
const AT_ONCE = 20;

/** Compares Baton with the official server over the whole table, or over the scenarios whose names contain an argument. */
async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const scenarios = SCENARIOS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
  const startedAt = performance.now();
  const [reference, baton, ...gates] = await Promise.all([
    startReference(),
    startBaton(),
    Gates.listen(),
    Gates.listen(),
  ]);
  try {
    const players: Players = { reference: new Player(reference.url, gates[0]), baton: new Player(baton.url, gates[1]) };
    const own = await operationsOf(baton.url);
    const results = (await playAll(scenarios, players)).map((result) => withoutMissing(result, own));
    const failures = report(results);
    const isWhole = wanted.length === 0;
    if (isWhole) await writeParity(results, own);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const answers = results.reduce((sum, result) => sum + result.answers.length, 0);
    console.log(`${results.length} scenarios, ${answers} answers compared in ${seconds} s: ${failures} unintended`);
    process.exitCode = failures > 0 ? 1 : 0;
  } finally {
    await Promise.all([reference.stop(), baton.stop(), ...gates.map((gate) => gate.close())]);
  }
}

interface Players {
  reference: Player;
  baton: Player;
}

async function playAll(scenarios: readonly Scenario[], players: Players): Promise<Result[]> {
  const results: Result[] = [];
  const queue = scenarios.filter(({ alone }) => !alone);
  const play = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) results.push(await playBoth(next, players));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, play));
  for (const scenario of scenarios.filter(({ alone }) => alone)) results.push(await playBoth(scenario, players));
  const order = new Map(scenarios.map(({ name }, index) => [name, index]));
  return results.toSorted((left, right) => (order.get(left.scenario) ?? 0) - (order.get(right.scenario) ?? 0));
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

/** Prints what was not meant and returns how much that was. */
function report(results: readonly Result[]): number {
  const broken = results.flatMap(({ scenario, broken }) => broken.map((text) => `${scenario}: ${text}`));
  for (const text of broken) console.log(`broke off: ${text}`);
  const unmeant = results.flatMap(({ findings }) => findings.filter(({ reason }) => reason === null));
  const kinds = new Map<string, Finding[]>();
  for (const finding of unmeant) {
    const kind = `${finding.operation ?? finding.request}  ${finding.path.replaceAll(/\/\d+/g, '/#')}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), finding]);
  }
  for (const [kind, findings] of [...kinds].toSorted(([a], [b]) => a.localeCompare(b))) {
    const [first] = findings;
    if (!first) continue;
    const scenarios = [...new Set(findings.map(({ scenario }) => scenario))];
    const more = scenarios.length > 3 ? ` and ${scenarios.length - 3} more` : '';
    console.log(`\n${kind}  (${findings.length} times: ${scenarios.slice(0, 3).join('; ')}${more})`);
    console.log(`    ${first.request}\n    reference: ${shown(first.reference)}\n    baton:     ${shown(first.baton)}`);
  }
  return unmeant.length + broken.length;
}

function shown(value: Finding['baton']): string {
  if (value === ABSENT) return '(absent)';
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** `METHOD /path` of all that Baton serves. */
async function operationsOf(url: string): Promise<string[]> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, object> };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

async function writeParity(results: readonly Result[], own: readonly string[]): Promise<void> {
  const file = fileURLToPath(new URL('../../docs/parity.md', import.meta.url));
  await writeFile(file, parityPage(results, own));
  for (const { path, reason } of judge.unused()) console.log(`A rule for ${String(path)} never applied: ${reason}`);
}

await main();

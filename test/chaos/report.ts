import type { CampaignReport } from './campaign.ts';

/** What a campaign came to, as lines for a person. */
export function reportLines(report: CampaignReport): string[] {
  const { faults, runs, attempts, nodes, actions, recovery } = report;
  const kinds = new Map<string, number>();
  for (const { kind } of faults) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  return [
    `faults            ${faults.length}, and ${report.cutReaders} connections of readers`,
    ...[...kinds]
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([kind, count]) => `  ${String(count).padStart(5)}  ${kind}`),
    `notifications     ${report.notifications} lost or doubled`,
    `runs              ${runs}, in ${attempts} attempts; ${report.refused} of them woke up too late and were refused`,
    `nodes             begun ${nodes.begun} times, ${nodes.repeated} of them again (waits, answers, lost workers)`,
    `effects           ${actions.done} done, asked for ${actions.calls} times`,
    `recovery, killed  ${percentiles(recovery.killed.all)}`,
    `  nothing else    ${percentiles(recovery.killed.quiet)}`,
    `  handed back     ${percentiles(recovery.handedBack.all)}`,
    `  nothing else    ${percentiles(recovery.handedBack.quiet)}`,
    `violations        ${report.violations.length}`,
    ...report.violations.slice(0, 40).map(({ rule, detail }) => `  BROKEN: ${rule}\n    ${detail.slice(0, 1500)}`),
    ...(report.logs ? [`logs              ${report.logs}`] : []),
  ];
}

function percentiles(samples: readonly number[]): string {
  if (samples.length === 0) return 'no sample';
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return `${samples.length} runs: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}

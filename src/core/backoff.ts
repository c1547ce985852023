export interface Backoff {
  firstMs: number;
  /** How much longer each wait is than the one before. */
  factor: number;
  maxMs: number;
}

/** How long to wait after so many failures in a row. Up to half of it is left to chance: what failed together does not come back together. */
export function backoffMs(failures: number, { firstMs, factor, maxMs }: Backoff, random = Math.random()): number {
  const fullMs = Math.min(maxMs, firstMs * factor ** (failures - 1));
  return Math.round(fullMs * (1 - random / 2));
}

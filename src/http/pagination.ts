import type { Response } from 'express';

/** How many there are, and where the next page begins when there is one. */
export function setPagination(
  res: Response,
  { offset, shown, total }: { offset: number; shown: number; total: number },
): void {
  res.setHeader('X-Pagination-Total', total);
  if (offset + shown < total) res.setHeader('X-Pagination-Next', offset + shown);
}

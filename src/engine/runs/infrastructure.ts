import { ServiceError } from '../../core/errors.ts';

/** Whether a failure says nothing of the graph or its state, only that this attempt cannot go on. */
export function isInfrastructure(error: unknown): boolean {
  // Of several branches that failed side by side.
  if (error instanceof AggregateError) return error.errors.some(isInfrastructure);
  return error instanceof ServiceError && (error.code === 'fenced' || error.code === 'unavailable');
}

import { UnsupportedFieldError } from '../core/errors.ts';

/** Refuses fields that the API knows and Baton does not do yet; values that ask for nothing pass. Throws UnsupportedFieldError. */
export function refuseUnsupported(request: object, advice: Record<string, string>): void {
  for (const [field, what] of Object.entries(advice)) {
    if (asksForSomething(Reflect.get(request, field))) throw new UnsupportedFieldError(field, what);
  }
}

function asksForSomething(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

/** Whether `value` contains `wanted`, in the sense of `jsonb @>` of Postgres: objects by their keys, arrays by their items. */
export function contains(value: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(value) && wanted.every((item) => value.some((candidate) => contains(candidate, item)));
  }
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    return Object.entries(wanted).every(
      ([key, item]) => Object.hasOwn(value, key) && contains((value as Record<string, unknown>)[key], item),
    );
  }
  return value === wanted;
}

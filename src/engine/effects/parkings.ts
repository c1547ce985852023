import { parkingIn } from '../../core/effect.ts';
import type { Json } from '../../core/json.ts';

/**
 * What a stream emits, without the interrupts that only park a run: they ask nobody.
 * @returns undefined when nothing else was in it.
 */
export function withoutParkings(data: Json): Json | undefined {
  if (typeof data !== 'object' || data === null) return data;
  if (Array.isArray(data)) return data.map((item) => withoutParkings(item) ?? null);
  const shown: { [key: string]: Json } = {};
  for (const [key, value] of Object.entries(data)) {
    if ((key === '__interrupt__' || key === 'interrupts') && Array.isArray(value)) {
      const questions = value.filter((interrupt) => !isParking(interrupt));
      if (questions.length > 0 || value.length === 0 || key === 'interrupts') shown[key] = questions;
    } else {
      shown[key] = withoutParkings(value) ?? null;
    }
  }
  return Object.keys(shown).length === 0 && Object.keys(data).length > 0 ? undefined : shown;
}

function isParking(interrupt: Json): boolean {
  return (
    typeof interrupt === 'object' &&
    interrupt !== null &&
    'value' in interrupt &&
    parkingIn(interrupt['value']) !== null
  );
}

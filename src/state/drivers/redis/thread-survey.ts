import { fromPlace, KEY, splitWritesName, toNamespace } from './thread-keys.ts';
import {
  type CheckpointHead,
  formatCheckpointHead,
  parseCheckpointHead,
  parseWritesHead,
  type WritesHead,
} from './heads.ts';

/** All that is stored of a thread but its bytes, at one moment. */
export interface Survey {
  revision: string;
  /** In the order of storing; `order` is in microseconds. */
  checkpoints: (CheckpointHead & { place: string; order: number })[];
  writes: (WritesHead & { place: string; name: string })[];
  /** Their sizes in bytes. */
  values: Map<string, number>;
}

/** What the script `survey` answers. */
export type SurveyReply = [
  revision: Buffer,
  order: Buffer[],
  index: Buffer[],
  writes: Buffer[],
  values: (Buffer | number)[],
];

export function surveyOf([revision, order, index, written, values]: SurveyReply): Survey {
  const heads = new Map(pairsOf(index));
  const checkpoints = pairsOf(order).map(([place, micros]) =>
    Object.assign(parseCheckpointHead(heads.get(place) ?? ''), { place, order: Number(micros) }),
  );
  const named = pairsOf(written).map(([name, head]) => Object.assign(splitWritesName(name), { name, head }));
  // A hash has no order. Writes may stand after a checkpoint that is not there.
  const places = new Set([...checkpoints.map(({ place }) => place), ...named.map(({ place }) => place).toSorted()]);
  const rank = new Map([...places].map((place, at) => [place, at]));
  const writes = named
    .filter(({ n }) => n > 0) // the others say how many there are
    .toSorted((a, b) => Number(rank.get(a.place)) - Number(rank.get(b.place)) || a.n - b.n)
    .map(({ place, name, head }) => Object.assign(parseWritesHead(head), { place, name }));
  return {
    revision: revision.toString(),
    checkpoints,
    writes,
    values: new Map(
      pairsOf(values)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([id, bytes]) => [id, Number(bytes)]),
    ),
  };
}

/** What a script is to do: a command, the number of its key, arguments. */
export type Step = [command: 'zrem' | 'hdel' | 'hset', key: number, ...rest: string[]];

interface Removal {
  /** Of checkpoints, which go with the writes after them. */
  places: ReadonlySet<string>;
  /** Other writes that go, by name. */
  writes?: ReadonlySet<string>;
}

/**
 * The steps that remove checkpoints and writes, and the values that nothing else refers to. A child that stays becomes one
 * of the nearest ancestor that stays. None when nothing of it is there.
 */
export function removalSteps({ checkpoints, writes, values }: Survey, removal: Removal): Step[] {
  const isGone = ({ place, name }: { place: string; name?: string }): boolean =>
    removal.places.has(place) || (name !== undefined && removal.writes?.has(name) === true);
  const gone = checkpoints.filter(isGone).map(({ place }) => place);
  const goneWrites = writes.filter(isGone).map(({ name }) => name);
  if (gone.length + goneWrites.length === 0) return [];
  const kept = [...checkpoints, ...writes].filter((row) => !isGone(row));
  const used = new Set(kept.flatMap(({ value_ids }) => value_ids));
  const counts = new Set(writes.filter(isGone).map(({ place }) => place));
  for (const { place, name } of writes) if (!isGone({ place, name })) counts.delete(place);
  const parents = new Map(checkpoints.filter(isGone).map(({ place, parent }) => [place, parent]));
  return [
    ...adoptions(
      checkpoints.filter((row) => !isGone(row)),
      parents,
    ),
    ...steps('zrem', KEY.order, gone),
    ...steps('hdel', KEY.index, gone),
    ...steps('hdel', KEY.bodies, [...gone, ...goneWrites]),
    ...steps('hdel', KEY.writes, [...goneWrites, ...counts]),
    ...steps(
      'hdel',
      KEY.values,
      [...values.keys()].filter((id) => !used.has(id)),
    ),
    ...latestSteps(checkpoints, new Set(gone)),
  ];
}

function adoptions(kept: Survey['checkpoints'], gone: ReadonlyMap<string, string>): Step[] {
  return kept.flatMap((head): Step[] => {
    let { parent } = head;
    for (let above = gone.get(parent); above !== undefined; above = gone.get(parent)) parent = above;
    return parent === head.parent ? [] : [['hset', KEY.index, head.place, formatCheckpointHead({ ...head, parent })]];
  });
}

/** Which checkpoint is now the latest of each namespace that lost some. */
function latestSteps(checkpoints: Survey['checkpoints'], gone: ReadonlySet<string>): Step[] {
  const latest = new Map<string, string | undefined>();
  for (const place of gone) latest.set(fromPlace('', place).checkpoint_ns, undefined);
  for (const { place } of checkpoints) {
    const ns = fromPlace('', place).checkpoint_ns;
    if (latest.has(ns) && !gone.has(place)) latest.set(ns, place);
  }
  return [...latest].map(([ns, place]) =>
    place === undefined ? ['hdel', KEY.latest, toNamespace(ns)] : ['hset', KEY.latest, toNamespace(ns), place],
  );
}

/** Lua takes a few thousand arguments at a time. */
const MOST = 1000;

function steps(command: Step[0], key: number, fields: readonly string[]): Step[] {
  return Array.from({ length: Math.ceil(fields.length / MOST) }, (_, at) => [
    command,
    key,
    ...fields.slice(at * MOST, (at + 1) * MOST),
  ]);
}

function pairsOf(flat: readonly (Buffer | number)[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [String(flat[2 * at]), String(flat[2 * at + 1])]);
}

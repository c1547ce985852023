import { type CheckpointPlace, placeOf } from './checkpoint-place.ts';

/** Which checkpoints of a thread may go. What both say may go, goes; at least one is given. */
export interface RetentionRule {
  /** All but the newest so many of each namespace. */
  keep_last?: number | undefined;
  /** Those stored longer ago than this. */
  older_than_ms?: number | undefined;
}

/** A checkpoint of a thread's history, as far as keeping it is concerned. */
interface HistoryEntry extends CheckpointPlace {
  parent_id: string | null;
  stored_at: Date;
}

export interface History {
  /** In the order of storing. */
  entries: readonly HistoryEntry[];
  /** By the namespace of a task, the checkpoint whose task it is, in the namespace above (`taskOf`). Others belong to none. */
  owners: ReadonlyMap<string, string>;
  /** What stays in any case. */
  pinned: readonly CheckpointPlace[];
  /** By `placeOf`, the id of the parent without which a checkpoint cannot be read; null: it needs none. */
  grounds: ReadonlyMap<string, string | null>;
  now: Date;
}

/**
 * The places of the checkpoints that stay. Besides those that the rule keeps: the newest of the thread, what is pinned,
 * and of each that stays the ancestors it is built on, the fork points it descends from, and the history of its subgraphs
 * as far as the rule keeps it, at least the newest.
 */
export function keptEntries(history: History, rule: RetentionRule): Set<string> {
  return new Retention(history, rule).kept();
}

/**
 * The task whose namespace this is, or is in, and the namespace that the task itself is in; null: it is no task's, as that
 * of a subgraph which goes on from step to step. What follows a task's part are subgraphs in it, or numbers of its calls.
 */
export function taskOf(checkpointNs: string): { above: string; task_id: string } | null {
  const parts = checkpointNs.split('|');
  const at = parts.findLastIndex((part) => part.includes(':'));
  const part = parts[at];
  if (part === undefined) return null;
  return { above: parts.slice(0, at).join('|'), task_id: part.slice(part.lastIndexOf(':') + 1) };
}

class Retention {
  readonly #history: History;
  readonly #rule: RetentionRule;
  readonly #byPlace: ReadonlyMap<string, HistoryEntry>;
  readonly #byNamespace: ReadonlyMap<string, HistoryEntry[]>;
  /** By the place of a checkpoint, the namespaces of its tasks. */
  readonly #owned: ReadonlyMap<string, string[]>;
  readonly #kept = new Set<string>();

  constructor(history: History, rule: RetentionRule) {
    this.#history = history;
    this.#rule = rule;
    this.#byPlace = new Map(history.entries.map((entry) => [placeOf(entry), entry]));
    this.#byNamespace = grouped(history.entries, ({ checkpoint_ns }) => checkpoint_ns);
    this.#owned = grouped(history.owners.keys(), (ns) =>
      placeOf({ checkpoint_ns: taskOf(ns)?.above ?? '', checkpoint_id: history.owners.get(ns) ?? '' }),
    );
  }

  kept(): Set<string> {
    for (const ns of this.#byNamespace.keys()) if (!this.#history.owners.has(ns)) this.#keepNewest(ns);
    for (const key of this.#history.pinned) this.#keep(key);
    for (let size = -1; size < this.#kept.size;) {
      size = this.#kept.size;
      for (const fork of this.#forkPoints()) this.#keep(fork);
      for (const entry of this.#lasting()) this.#keep(entry);
    }
    return this.#kept;
  }

  /** What the rule keeps of a namespace. */
  #keepNewest(ns: string): void {
    const entries = this.#byNamespace.get(ns) ?? [];
    const { keep_last = 0, older_than_ms } = this.#rule;
    const since = older_than_ms === undefined ? Infinity : this.#history.now.getTime() - older_than_ms;
    const first = entries.length - Math.max(1, keep_last);
    for (const [index, entry] of entries.entries()) {
      if (index >= first || entry.stored_at.getTime() > since) this.#keep(entry);
    }
  }

  #keep(key: CheckpointPlace): void {
    const open = [key];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { checkpoint_ns } = next;
      const place = placeOf(next);
      if (this.#kept.has(place) || !this.#byPlace.has(place)) continue;
      this.#kept.add(place);
      const ground = this.#history.grounds.get(place) ?? null;
      if (ground !== null) open.push({ checkpoint_ns, checkpoint_id: ground });
      const owner = this.#history.owners.get(checkpoint_ns);
      if (owner !== undefined) open.push({ checkpoint_ns: taskOf(checkpoint_ns)?.above ?? '', checkpoint_id: owner });
      for (const ns of this.#owned.get(place) ?? []) this.#keepNewest(ns);
    }
  }

  /** Checkpoints with several children, from which one descends that stays. */
  #forkPoints(): HistoryEntry[] {
    const children = new Map<string, number>();
    for (const entry of this.#history.entries) {
      const parent = this.#parentOf(entry);
      if (parent) children.set(placeOf(parent), (children.get(placeOf(parent)) ?? 0) + 1);
    }
    const found: HistoryEntry[] = [];
    const seen = new Set<string>();
    for (const place of this.#kept) {
      let entry = this.#byPlace.get(place);
      while (entry !== undefined && !seen.has(placeOf(entry))) {
        seen.add(placeOf(entry));
        if ((children.get(placeOf(entry)) ?? 0) > 1) found.push(entry);
        entry = this.#parentOf(entry);
      }
    }
    return found;
  }

  /** Of subgraphs that go on from step to step: how each stood when a checkpoint that stays was stored. */
  #lasting(): HistoryEntry[] {
    const latest = new Map<string, HistoryEntry>();
    const found: HistoryEntry[] = [];
    for (const entry of this.#history.entries) {
      const isLasting = entry.checkpoint_ns !== '' && !this.#history.owners.has(entry.checkpoint_ns);
      if (isLasting) latest.set(entry.checkpoint_ns, entry);
      else if (this.#kept.has(placeOf(entry))) found.push(...latest.values());
    }
    return found;
  }

  #parentOf({ checkpoint_ns, parent_id }: HistoryEntry): HistoryEntry | undefined {
    return parent_id === null ? undefined : this.#byPlace.get(placeOf({ checkpoint_ns, checkpoint_id: parent_id }));
  }
}

function grouped<T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

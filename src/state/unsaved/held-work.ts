import type { PutCheckpoint } from '../drivers/checkpoint-driver.ts';
import { placeOf } from '../../core/checkpoint-place.ts';
import { type HeldChange, isCheckpoint } from './held-view.ts';
import { isBelow, type WorkMeter } from './work-meter.ts';

/**
 * What a run has done since it was last saved, as a driver will be asked for it: in order, and no more than is needed to
 * go on from it. A checkpoint gives way to its child, with the writes that led there and with what the subgraphs of its
 * step saved; but not when the child is built on it (DeltaChannel), nor once it is on its way to the driver.
 */
export class HeldWork {
  readonly token: number;
  readonly meter: WorkMeter;
  #held: HeldChange[] = [];
  #saving: HeldChange[] = [];
  /** The big values of both. */
  readonly #values = new Map<string, Uint8Array>();
  #fault: Error | undefined;

  constructor(token: number, meter: WorkMeter) {
    this.token = token;
    this.meter = meter;
  }

  /** @throws what earlier work could not be saved for: later work would have no ground. */
  add(change: HeldChange): void {
    this.throwFault();
    for (const [id, bytes] of change.values) this.#values.set(id, bytes);
    const added = isCheckpoint(change) && !change.deltas ? this.#replacingParent(change) : change;
    this.#held.push(added);
    this.#dropValues();
  }

  /** All that is held, to be saved. It can be read on, until `saved` is told. */
  take(): HeldChange[] {
    const taken = this.#held.map((change) => ({ ...change, values: this.#valuesOf(change) }));
    this.#held = [];
    this.#saving.push(...taken);
    return taken;
  }

  saved(taken: readonly HeldChange[]): void {
    const gone = new Set(taken);
    this.#saving = this.#saving.filter((change) => !gone.has(change));
    this.#dropValues();
  }

  failed(fault: Error): void {
    this.#fault = fault;
  }

  throwFault(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** What is held and not yet stored, as it is now. */
  contents(): { changes: HeldChange[]; values: ReadonlyMap<string, Uint8Array> } {
    return { changes: [...this.#saving, ...this.#held], values: new Map(this.#values) };
  }

  /** The checkpoint as a child of the last one that is saved, or is being saved; those between are dropped. */
  #replacingParent(change: PutCheckpoint): PutCheckpoint {
    const parent = this.#heldParent(change);
    if (parent === undefined) return change;
    this.#drop(parent);
    return { ...change, row: { ...change.row, parent_id: parent.row.parent_id } };
  }

  #heldParent({ row }: PutCheckpoint): PutCheckpoint | undefined {
    if (row.parent_id === null) return undefined;
    const place = placeOf({ ...row, checkpoint_id: row.parent_id });
    return this.#held.filter(isCheckpoint).find((change) => placeOf(change.row) === place);
  }

  /** A checkpoint with all that came of its step. */
  #drop(checkpoint: PutCheckpoint): void {
    const place = placeOf(checkpoint.row);
    const at = this.#held.indexOf(checkpoint);
    this.#held = this.#held.filter(
      ({ row }, index) =>
        placeOf(row) !== place && (index < at || !ranInStepOf(checkpoint.row.checkpoint_ns, row.checkpoint_ns)),
    );
  }

  #valuesOf({ value_ids }: HeldChange): Map<string, Uint8Array> {
    const values = new Map<string, Uint8Array>();
    for (const id of value_ids) {
      const bytes = this.#values.get(id);
      if (bytes !== undefined) values.set(id, bytes);
    }
    return values;
  }

  #dropValues(): void {
    if (this.#values.size === 0) return;
    const used = new Set([...this.#saving, ...this.#held].flatMap(({ value_ids }) => value_ids));
    for (const id of this.#values.keys()) if (!used.has(id)) this.#values.delete(id);
  }
}

/** Whether a namespace is a task's, and so of one step only, of the graph at `above`. Other subgraphs keep their state between steps. */
function ranInStepOf(above: string, checkpointNs: string): boolean {
  if (!isBelow(checkpointNs, above)) return false;
  const [first = ''] = checkpointNs.slice(above === '' ? 0 : above.length + 1).split('|');
  return first.includes(':');
}

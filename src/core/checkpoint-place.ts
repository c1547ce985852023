/** What names a checkpoint within its thread. */
export interface CheckpointPlace {
  checkpoint_ns: string;
  checkpoint_id: string;
}

/** The same as one text, for maps. */
export function placeOf({ checkpoint_ns, checkpoint_id }: CheckpointPlace): string {
  return `${checkpoint_id}\0${checkpoint_ns}`;
}

/** A checkpoint that somebody wants to come back to. Pruning leaves it. */
export interface Bookmark {
  bookmark_id: string;
  thread_id: string;
  checkpoint_ns: string;
  checkpoint_id: string;
  name: string;
  created_at: string;
}

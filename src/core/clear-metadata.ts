/**
 * The keys of metadata that stand in clear in an encrypted store: what Baton and LangGraph themselves put there and look for,
 * and `owner`, by which authorisation tells whose a thread is. BATON_CLEAR_METADATA adds to them.
 */
const ALWAYS = ['graph_id', 'assistant_id', 'run_id', 'source', 'step', 'created_by', 'owner'];

export function clearMetadata(more: readonly string[]): ReadonlySet<string> {
  return new Set([...ALWAYS, ...more]);
}

import type { Json, JsonObject } from '../../core/json.ts';
import { END_EVENT, type RunEvent } from '../../core/run-event.ts';
import type { RunStatus } from '../../core/run.ts';

/** Follows a run's log: RunStreams. */
export interface RunFollower {
  follow(runId: string, options: { afterSeq: number; signal: AbortSignal }): AsyncIterable<RunEvent>;
}

/** What a run came to, as far as its log says. */
export interface RunResult {
  /** Null when the run is gone: it was rolled back, or the caller left. */
  status: RunStatus | null;
  /** Undefined when the log has no values. */
  values: Json | undefined;
  error: Json | undefined;
}

/** Resolves when the run has ended, and the thread's row says so; or when the signal says so. */
export async function watchToEnd(streams: RunFollower, runId: string, signal: AbortSignal): Promise<RunResult> {
  const latest = new LatestValues();
  let error: string | undefined;
  for await (const { event, data } of streams.follow(runId, { afterSeq: -1, signal })) {
    if (event === 'values') latest.add(data);
    else if (event === 'metadata') latest.newAttempt();
    else if (event === 'error') error = data;
    else if (event === END_EVENT) {
      const { status } = JSON.parse(data) as { status: RunStatus };
      return { status, values: latest.value(), error: error === undefined ? undefined : (JSON.parse(error) as Json) };
    }
  }
  return { status: null, values: latest.value(), error: undefined };
}

/** The values of a run as `graph.invoke` gives them: the last ones, with the questions of all tasks that wait. */
class LatestValues {
  #values: string | undefined;
  #questions: Json[] | null = null;

  add(data: string): void {
    const questions = data.startsWith('{"__interrupt__":') ? (JSON.parse(data) as JsonObject)['__interrupt__'] : null;
    if (Array.isArray(questions)) this.#questions = [...(this.#questions ?? []), ...questions];
    else this.#values = data;
  }

  /** What the lost attempt asked is asked again. */
  newAttempt(): void {
    this.#questions = null;
  }

  value(): Json | undefined {
    const values = this.#values === undefined ? undefined : (JSON.parse(this.#values) as Json);
    if (this.#questions === null) return values;
    const isObject = typeof values === 'object' && values !== null && !Array.isArray(values);
    return { ...(isObject && values), __interrupt__: this.#questions };
  }
}

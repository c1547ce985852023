export interface SseFrame {
  id: string;
  event: string;
  data: string;
}

/** The events of a stream as they stand in it. Throws when the connection breaks, and drops what it broke in the middle of. */
export async function* sseFrames(response: Response): AsyncGenerator<SseFrame> {
  let rest = '';
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      const [id, event, data] = [field('id'), field('event'), field('data')];
      if (id !== undefined && event !== undefined && data !== undefined) yield { id, event, data };
    }
  }
}

/**
 * As a browser's EventSource reads: whenever the connection breaks, or is silent for too long, it asks again from the last
 * event on. Ends with the stream, or with the event for which `isLast` says so.
 */
export async function readThrough(
  request: (lastId: string | null, signal: AbortSignal) => Promise<Response>,
  { isLast = () => false, silenceMs = 10_000 }: { isLast?: (frame: SseFrame) => boolean; silenceMs?: number } = {},
): Promise<SseFrame[]> {
  const frames: SseFrame[] = [];
  for (;;) {
    const leave = new AbortController();
    const silence = setTimeout(() => leave.abort(), silenceMs);
    try {
      for await (const frame of sseFrames(await request(frames.at(-1)?.id ?? null, leave.signal))) {
        silence.refresh();
        frames.push(frame);
        if (isLast(frame)) return frames;
      }
      return frames;
    } catch {
      // Again.
    } finally {
      clearTimeout(silence);
      leave.abort();
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A server, and what it is to be sent to let one in. */
export interface Api {
  url: string;
  headers: Readonly<Record<string, string>>;
}

/** One event of a run's stream. */
export interface StreamEvent {
  event: string;
  data: Record<string, unknown>;
}

/** Asks a server for JSON. Throws with the server's own words when it refuses. */
export async function callApi<T>(api: Api, path: string, body: object): Promise<T> {
  const answer = await post(api, path, body);
  return (await answer.json()) as T;
}

/** Starts a run and yields what it emits, as any SSE client would. */
export async function* streamRun(api: Api, path: string, body: object): AsyncGenerator<StreamEvent, void> {
  const answer = await post(api, path, body);
  let rest = '';
  for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => splitAt(line, ': ')));
      const [event, data] = [fields.get('event'), fields.get('data')];
      if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) as StreamEvent['data'] };
    }
  }
}

async function post(api: Api, path: string, body: object): Promise<Response> {
  const url = `${api.url}${path}`;
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...api.headers },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer;
}

function splitAt(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator);
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + separator.length)];
}

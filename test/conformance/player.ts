import type { Json, JsonObject } from '../../src/core/json.ts';
import type { Gates } from './gates.ts';
import { comparable, converse, readToEnds } from './protocol-events.ts';
import type { Request, Scenario, Socket, Step } from './scenario.ts';

export interface SseEvent {
  event: string;
  data: Json;
}

export interface Answer {
  /** `METHOD /path` as the scenario writes it. */
  request: string;
  status: number;
  headers: Record<string, string>;
  body: Json;
  events?: SseEvent[];
}

export interface Played {
  answers: Answer[];
  /** What kept the scenario from its end. */
  broken: string | null;
}

const COMPARED_HEADERS = [
  'content-type',
  'content-location',
  'location',
  'cache-control',
  'x-pagination-total',
  'x-pagination-next',
  'access-control-allow-origin',
  'access-control-allow-methods',
  'access-control-expose-headers',
];
const STEP_MS = 20_000;
const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

/** Puts one server through scenarios. */
export class Player {
  readonly #url: string;
  readonly #gates: Gates;
  readonly #deadline: AbortSignal;

  /** `deadline`: whatever is still being played then is broken off. */
  constructor(url: string, gates: Gates, deadline: AbortSignal) {
    this.#url = url;
    this.#gates = gates;
    this.#deadline = deadline;
  }

  async play({ name, steps }: Scenario): Promise<Played> {
    const scene = new Scene(this.#url, this.#gates, name.replaceAll(/[^a-z0-9]+/gi, '-'));
    try {
      for (const [index, step] of steps.entries()) {
        const given = await within(scene.take(step), `step ${index} (${describe(step)})`, this.#deadline);
        if (given) scene.answers.push(given);
      }
      return { answers: scene.answers, broken: null };
    } catch (error) {
      return { answers: scene.answers, broken: error instanceof Error ? error.message : String(error) };
    } finally {
      scene.end();
    }
  }
}

/** One scenario on one server. */
class Scene {
  readonly answers: Answer[] = [];
  readonly #url: string;
  readonly #gates: Gates;
  readonly #tag: string;
  readonly #saved = new Map<string, string>();
  readonly #begun = new Map<string, { answer: Promise<Answer>; leave: AbortController }>();
  readonly #over = new AbortController();

  constructor(url: string, gates: Gates, tag: string) {
    this.#url = url;
    this.#gates = gates;
    this.#tag = tag;
    this.#saved.set('tag', tag);
    for (const gate of ['gate', 'gate2', 'gate3']) this.#saved.set(gate, gates.address(`${tag}/${gate}`));
  }

  /** The answer that is to be compared, if there is one. */
  async take(step: Step): Promise<Answer | undefined> {
    switch (step.kind) {
      case 'request': {
        const answer = await this.#send(step);
        if (step.quiet && answer.status >= 400) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
        return step.quiet ? undefined : answer;
      }
      case 'socket':
        return this.#converse(step);
      case 'begin': {
        const leave = new AbortController();
        const answer = this.#send(step.request, leave.signal);
        answer.catch(() => undefined);
        this.#begun.set(step.as, { answer, leave });
        return undefined;
      }
      case 'finish':
        return this.#begun.get(step.as)?.answer;
      case 'leave':
        this.#begun.get(step.as)?.leave.abort();
        return undefined;
      case 'reach':
        await this.#gates.reached(`${this.#tag}/${step.gate}`);
        return undefined;
      case 'open':
        this.#gates.open(`${this.#tag}/${step.gate}`);
        return undefined;
      case 'ended':
        return this.#untilEnded(step.run);
    }
  }

  end(): void {
    for (const gate of ['gate', 'gate2', 'gate3']) this.#gates.open(`${this.#tag}/${gate}`);
    this.#over.abort();
  }

  async #converse(step: Socket): Promise<Answer> {
    const options = { fill: (text: string) => this.#fill(text), signal: this.#over.signal };
    const { answers, events } = await converse(this.#url + this.#fill(step.path), step, options);
    const compared = comparable(events);
    const body = { answers, ...(compared.numbers as JsonObject) };
    // The page has one operation for both ways to read the events.
    return { request: `POST ${step.path}`, status: 101, headers: {}, body, events: compared.events };
  }

  async #send({ method, path, body, headers, save, ends }: Request, left?: AbortSignal): Promise<Answer> {
    const response = await fetch(this.#url + this.#fill(path), {
      method,
      headers: {
        'user-agent': 'conformance',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: this.#fill(typeof body === 'string' ? body : JSON.stringify(body)) }),
      signal: left ? AbortSignal.any([left, this.#over.signal]) : this.#over.signal,
    });
    const staysOpen = ends !== undefined && response.ok;
    const text = staysOpen ? await readToEnds(response, ends) : await response.text();
    const answer = toAnswer(`${method} ${path}`, response, text);
    if (staysOpen && answer.events) {
      const { events, numbers } = comparable(answer.events);
      Object.assign(answer, { events, body: numbers });
    }
    // Who asks from the same origin need not be told about others.
    if (headers?.['origin'] === undefined) removeCors(answer.headers);
    for (const [name, place] of Object.entries(save ?? {})) this.#saved.set(name, found(answer, place));
    return answer;
  }

  async #untilEnded(run: string): Promise<undefined> {
    for (;;) {
      const { signal } = this.#over;
      const response = await fetch(`${this.#url}${this.#fill(`/threads/{thread}/runs/{${run}}`)}`, { signal });
      if (response.status === 404) return;
      const { status } = (await response.json()) as { status: string };
      if (status !== 'pending' && status !== 'running') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #fill(text: string): string {
    return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => this.#saved.get(name) ?? whole);
  }
}

function toAnswer(request: string, response: Response, text: string): Answer {
  const headers: Record<string, string> = {};
  for (const name of COMPARED_HEADERS) {
    const value = response.headers.get(name);
    if (value !== null) headers[name] = name === 'content-type' ? (value.split(';', 1)[0] ?? '') : value;
  }
  const { status } = response;
  if (headers['content-type'] === 'text/event-stream') {
    const { events, ids } = parseEvents(text);
    return { request, status, headers, body: { ids }, events };
  }
  return { request, status, headers, body: parseBody(text) };
}

function removeCors(headers: Record<string, string>): void {
  for (const name of Object.keys(headers)) if (name.startsWith('access-control-')) delete headers[name];
}

function parseBody(text: string): Json {
  try {
    return text.trim() === '' ? null : (JSON.parse(text) as Json);
  } catch {
    return text;
  }
}

function parseEvents(text: string): { events: SseEvent[]; ids: string } {
  const ids: string[] = [];
  const events: SseEvent[] = [];
  for (const block of text.split('\n\n')) {
    const lines = block.split('\n').filter((line) => !line.startsWith(':'));
    const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const event = field('event');
    if (event === undefined) continue;
    events.push({ event, data: parseBody(field('data') ?? '') });
    const id = field('id');
    if (id !== undefined) ids.push(id);
  }
  return { events, ids: describeIds(ids, events.length) };
}

/** How the events are numbered, without saying how many there are. */
function describeIds(ids: readonly string[], events: number): string {
  if (ids.length === 0) return events === 0 ? 'no events' : 'none';
  const first = Number(ids[0]);
  const consecutive = ids.length === events && ids.every((id, index) => Number(id) === first + index);
  return consecutive ? `consecutive from ${first}` : `irregular: ${ids.join(' ')}`;
}

function found({ headers, body, events }: Answer, place: string): string {
  if (place.startsWith('header:')) {
    const id = headers[place.slice('header:'.length)]?.match(ID)?.at(-1);
    if (id === undefined) throw new Error(`no id in the ${place}`);
    return id;
  }
  let value: unknown = events ?? body;
  for (const key of place.split('/')) value = (value as Record<string, unknown> | null | undefined)?.[key];
  if (value === undefined || value === null) throw new Error(`nothing at ${place} of ${JSON.stringify(body)}`);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function describe(step: Step): string {
  if (step.kind === 'request') return `${step.method} ${step.path}`;
  return Object.values(step)
    .filter((part) => typeof part === 'string')
    .join(' ');
}

/** A step by itself may take {@link STEP_MS}; a run of all scenarios has a deadline. */
async function within<T>(work: Promise<T>, what: string, deadline: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onDeadline = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`hung for ${STEP_MS} ms`)), STEP_MS);
    onDeadline = () => reject(new Error('not done when the time was up'));
    if (deadline.aborted) onDeadline();
    else deadline.addEventListener('abort', onDeadline);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    deadline.removeEventListener('abort', onDeadline);
  }
}

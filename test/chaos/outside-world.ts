import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Pool } from 'pg';
import { Random } from '../random.ts';
import type { StateStore } from './state-store.ts';

/** A node that says that it begins. */
export interface Begun {
  thread_id: string;
  run_id: string;
  attempt: number;
  /** `node:task`: the task's id is made of the checkpoint that the step began from. */
  task: string;
  checkpoint_id: string | null;
  comes_back: boolean;
}

/** Something that was done to the world. */
interface Action {
  order: string;
  action: string;
  /** The keys under which it was asked for. More than one would be done more than once. */
  keys: Set<string>;
  calls: number;
}

interface OutsideWorldOptions {
  database: Pool;
  state: StateStore | null;
  seed: number;
}

/** Everything outside of Baton: a service that honours idempotency keys and keeps a ledger of what it was asked for. */
export class OutsideWorld {
  readonly actions = new Map<string, Action>();
  /** Nodes that began, and how many of them for a second time. */
  begun = 0;
  repeated = 0;
  /** Nodes that began although what they had done was stored already. */
  readonly needless: (Begun & { stored: string })[] = [];
  readonly #tasks = new Set<string>();
  readonly #database: Pool;
  /** Where checkpoints are, if not in the database. */
  readonly #state: StateStore | null;
  readonly #random: Random;
  readonly #server: Server;

  private constructor({ database, state, seed }: OutsideWorldOptions) {
    this.#database = database;
    this.#state = state;
    this.#random = new Random(seed);
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async listen(options: OutsideWorldOptions): Promise<OutsideWorld> {
    const world = new OutsideWorld(options);
    world.#server.listen(0, '127.0.0.1');
    await once(world.#server, 'listening');
    return world;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await json(request);
    if (request.url === '/begun') await this.#begin(body as Begun);
    else if (!this.#act(body as ActionRequest, response)) return;
    response.setHeader('content-type', 'application/json').end('{}');
  }

  /** False: it was refused, or nobody was told that it was done. */
  #act({ order, action, idempotency_key }: ActionRequest, response: ServerResponse): boolean {
    const isFlaky = action === 'collect';
    if (isFlaky && this.#random.chance(0.2)) {
      response.writeHead(503).end();
      return false;
    }
    const name = `${order} ${action}`;
    const known = this.actions.get(name) ?? { order, action, keys: new Set(), calls: 0 };
    known.calls += 1;
    known.keys.add(idempotency_key);
    this.actions.set(name, known);
    if (isFlaky && this.#random.chance(0.2)) {
      response.destroy();
      return false;
    }
    return true;
  }

  async #begin(begun: Begun): Promise<void> {
    this.begun += 1;
    const task = `${begun.thread_id} ${begun.task}`;
    if (this.#tasks.has(task)) this.repeated += 1;
    this.#tasks.add(task);
    const stored = await this.#storedOf(begun);
    if (stored !== null) this.needless.push({ ...begun, stored });
  }

  /**
   * What was stored of the task: its writes, or the checkpoint that they led to. Null: nothing, or that it failed. The node waits for the answer, so what
   * is stored now was stored before. A fenced attempt may begin what it likes.
   */
  async #storedOf(begun: Begun): Promise<string | null> {
    const { run_id, thread_id, attempt, task, checkpoint_id, comes_back } = begun;
    // First what is stored, then whether the attempt still has the run: a later one may have stored it.
    const elsewhere = this.#state && { stored: await this.#state.storedOf(begun) };
    for (let tries = 0; tries < 50; tries++) {
      try {
        if (elsewhere) return (await this.#isCurrent(begun)) ? elsewhere.stored : null;
        const { rows } = await this.#database.query<{ stored: string | null }>(
          `select coalesce(
             (select 'checkpoint ' || checkpoint_id from baton_state.checkpoints
              where thread_id = $3::text and checkpoint_ns = '' and parent_id = $4 limit 1),
             (select convert_from(body, 'utf8') from baton_state.writes
              where not $6::boolean and thread_id = $3::text and checkpoint_ns = '' and checkpoint_id = $4 and task_id = $5
                and position('"__error__"' in convert_from(body, 'utf8')) = 0 limit 1)) stored
           from baton.runs where run_id = $1 and attempt = $2 and status = 'running'`,
          [run_id, attempt, thread_id, checkpoint_id, task.split(':')[1], comes_back],
        );
        return rows[0]?.stored ?? null;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100)); // Postgres restarts
      }
    }
    throw new Error('the database stays away');
  }

  async #isCurrent({ run_id, attempt }: Begun): Promise<boolean> {
    const { rowCount } = await this.#database.query(
      `select from baton.runs where run_id = $1 and attempt = $2 and status = 'running'`,
      [run_id, attempt],
    );
    return rowCount === 1;
  }
}

interface ActionRequest {
  order: string;
  action: string;
  idempotency_key: string;
}

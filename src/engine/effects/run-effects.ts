import { GraphInterrupt } from '@langchain/langgraph';
import {
  type EffectCall,
  type EffectFailure,
  type EffectLedger,
  type EffectState,
  type EffectTurn,
  type NodeExecution,
  type Parking,
  parkingValue,
} from '../../core/effect.ts';
import type { ThreadFiles } from '../../blobs/thread-files.ts';
import type { BlobFiles } from '../../core/blob-files.ts';
import { outliveConnections } from '../../core/connection-loss.ts';
import { ConflictError, InvalidInputError, UnstorableValueError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { Json } from '../../core/json.ts';
import type { EffectRequest, StoredState } from '../../database/effect-claims.ts';
import type { DoneElsewhere, Effects } from '../../database/effects.ts';
import type { Codec } from '../../core/codec.ts';
import { revive } from '../../state/codec/revive.ts';
import { serialize } from '../../state/codec/serialize.ts';
import type { StateSaver } from '../../state/state-saver.ts';
import type { Attempt } from '../runs/attempt.ts';
import type { EffectSignals } from './effect-signals.ts';

export interface RunEffectsParts {
  effects: Effects;
  saver: Pick<StateSaver, 'flush' | 'wayTo'>;
  codec: Codec;
  signals: EffectSignals;
  /** Null: there is no blob store. */
  files: ThreadFiles | null;
  /** Longer waits give up the run's place in the worker. */
  parkAfterMs: number;
}

/** How often somebody looks at an effect that another run executes. A lost holder is noticed when its lease is over. */
const BUSY_POLL_MS = 1000;

/** The effects of one attempt of a run. */
export class RunEffects {
  readonly #parts: RunEffectsParts;
  readonly #attempt: Attempt;
  readonly #inHand = new Set<string>();
  #hasParked = false;

  constructor(parts: RunEffectsParts, attempt: Attempt) {
    this.#parts = parts;
    this.#attempt = attempt;
  }

  /** Whether a node has given up its place in this attempt. */
  get hasParked(): boolean {
    return this.#hasParked;
  }

  /** For one execution of a node. */
  open(): RunningNode {
    const context = { attempt: this.#attempt, inHand: this.#inHand, park: this.#park };
    return new RunningNode(new NodeLedger(this.#parts, context), filesOf(this.#parts.files, this.#attempt));
  }

  readonly #park = (parking: Parking): never => {
    this.#hasParked = true;
    throw new GraphInterrupt([{ value: parkingValue(parking) }]);
  };
}

/** What travels in a configuration. Without properties of its own, since configurations are shown. */
export class RunningNode implements NodeExecution {
  readonly #ledger: NodeLedger;
  readonly #files: BlobFiles;
  readonly #calls = new Map<string, number>();
  constructor(ledger: NodeLedger, files: BlobFiles) {
    this.#ledger = ledger;
    this.#files = files;
  }

  get files(): BlobFiles {
    return this.#files;
  }

  get ledger(): EffectLedger {
    return this.#ledger;
  }

  get calls(): Map<string, number> {
    return this.#calls;
  }

  /** The node has ended as if nothing were left. @throws InvalidInputError when it caught what parks it. */
  ended(): void {
    const { parked } = this.#ledger;
    if (parked === null) return;
    throw new InvalidInputError(
      `The node caught what "${parked}" throws in order to wait, and went on: let it pass, as in catch (error) { if (isGraphBubbleUp(error)) throw error; … }`,
    );
  }

  /** The node has failed: what failed in it is tried again when it is executed again. */
  async failed(): Promise<void> {
    await this.#ledger.forgetFailures();
  }
}

/** The files of the attempt's thread. */
function filesOf(files: ThreadFiles | null, { run: { thread_id } }: Attempt): BlobFiles {
  const kept = (): ThreadFiles => {
    if (files !== null) return files;
    throw new InvalidInputError('There is no blob store for files: set BLOB_URL, such as BLOB_URL=disk:./blobs');
  };
  return {
    put: async (bytes, about) => kept().put(thread_id, bytes, about),
    get: async (blobId) => kept().get(thread_id, blobId),
    url: async (blobId, seconds) => kept().url(thread_id, blobId, seconds),
  };
}

interface NodeContext {
  attempt: Attempt;
  /** The effects that this attempt executes right now. */
  inHand: Set<string>;
  park: (parking: Parking) => never;
}

class NodeLedger implements EffectLedger {
  readonly #parts: RunEffectsParts;
  readonly #context: NodeContext;
  /** The effects that this execution began or met as failed ones, each with the node's execution in which it did. */
  readonly #metIn = new Map<string, number>();
  /** The thread that each goes with; of scope `global` none. */
  readonly #ownerOf = new Map<string, string>();
  #parked: string | null = null;
  constructor(parts: RunEffectsParts, context: NodeContext) {
    this.#parts = parts;
    this.#context = context;
  }

  /** The name of what this execution was parked for. */
  get parked(): string | null {
    return this.#parked;
  }

  async come(call: EffectCall, { takeover = false } = {}): Promise<EffectState> {
    const { saver } = this.#parts;
    const { attempt } = this.#context;
    if (attempt.run.kwargs.durability === 'exit') throw unsaved(call.name);
    // An effect is never done on top of state that a crash would take away: its place would be another one then.
    await saver.flush(attempt.run.thread_id);
    if (call.onFork !== 'rerun') await this.#regardOrigin(call);
    const stored = await this.#claim(call, takeover);
    if (stored.is === 'failed') {
      return (await this.#forgets(stored, call)) ? this.come(call) : stored;
    }
    if (stored.is !== 'done') return stored;
    return { is: 'done', asked: stored.asked, result: await this.#decode(call, stored) };
  }

  async #claim(call: EffectCall, takeover: boolean): Promise<StoredState> {
    const { effects } = this.#parts;
    const { attempt, inHand } = this.#context;
    const taken = new Set<string>();
    const request: EffectRequest = {
      effectId: uuidv7(),
      call,
      attempt: attempt.run,
      takeover,
      hands: {
        has: (effectId) => inHand.has(effectId),
        take: (effectId) => {
          inHand.add(effectId);
          taken.add(effectId);
        },
      },
      encodeEvent: (event, effectId) => this.#encode(call, effectId, event),
    };
    try {
      const stored = await outliveConnections(() => effects.come(request));
      if (stored.is === 'yours') {
        taken.delete(stored.effectId);
        this.#metIn.set(stored.effectId, call.nodeAttempt);
      }
      this.#ownerOf.set(stored.effectId, this.#contextOf(call, stored.effectId).thread_id);
      return stored;
    } finally {
      for (const effectId of taken) inHand.delete(effectId);
    }
  }

  /**
   * Whether a failure is from an execution before this one of the same node, in a subgraph or a task: then it is forgotten.
   * Nodes of the graph itself have a ledger for each execution.
   */
  async #forgets({ effectId, error }: Extract<StoredState, { is: 'failed' }>, call: EffectCall): Promise<boolean> {
    const metIn = this.#metIn.get(effectId);
    this.#metIn.set(effectId, metIn ?? call.nodeAttempt);
    if (error.final || metIn === undefined || metIn >= call.nodeAttempt) return false;
    await this.#parts.effects.forgetFailures(this.#context.attempt.run, [effectId]);
    return true;
  }

  async done(turn: EffectTurn, result: unknown, call: EffectCall): Promise<void> {
    try {
      const bytes = await this.#encode(call, turn.effectId, result);
      await outliveConnections(() => this.#parts.effects.done(turn, bytes));
    } catch (error) {
      // It was done and must not be done again, though nobody can say what came of it.
      if (error instanceof UnstorableValueError) {
        await this.failed(turn, { name: error.name, message: error.message, final: true }, null);
      }
      throw error;
    } finally {
      this.#context.inHand.delete(turn.effectId);
    }
  }

  async failed(turn: EffectTurn, failure: EffectFailure, retryMs: number | null): Promise<void> {
    try {
      const owner = this.#ownerOf.get(turn.effectId) ?? this.#context.attempt.run.thread_id;
      await outliveConnections(() => this.#parts.effects.failed(turn, failure, retryMs, owner));
    } finally {
      this.#context.inHand.delete(turn.effectId);
    }
  }

  lost(turn: EffectTurn): void {
    this.#context.inHand.delete(turn.effectId);
  }

  async asking(turn: EffectTurn, place: string): Promise<void> {
    await outliveConnections(() => this.#parts.effects.asking(turn, place));
  }

  async wait(state: Extract<EffectState, { is: 'waiting' }>, call: EffectCall): Promise<void> {
    const { signals, parkAfterMs } = this.#parts;
    const { attempt, park } = this.#context;
    const { effectId, leftMs, busy } = state;
    if (busy) return signals.change(effectId, BUSY_POLL_MS, attempt.signal);
    if (leftMs !== null && leftMs <= parkAfterMs) return signals.change(effectId, Math.max(0, leftMs), attempt.signal);
    this.#parked = call.name;
    return park({
      effect_id: effectId,
      kind: call.kind,
      name: call.name,
      reason: call.kind === 'effect' ? 'retry' : call.kind,
    });
  }

  async forgetFailures(): Promise<void> {
    if (this.#metIn.size === 0) return;
    await this.#parts.effects.forgetFailures(this.#context.attempt.run, [...this.#metIn.keys()]);
  }

  /** On a fork: what the origin did after the fork's point is taken over, or may not be done again. */
  async #regardOrigin(call: EffectCall): Promise<void> {
    const { effects, saver } = this.#parts;
    const { run } = this.#context.attempt;
    const known = await effects.elsewhere(run, call);
    if (known.length === 0 || known.some((effect) => effect.is_here)) return;
    const { ids, executed } = await saver.wayTo(run.thread_id, call.checkpointId);
    const isOfBranch = ({ checkpoint_id, led_to }: DoneElsewhere): boolean =>
      executed.has(checkpoint_id ?? '') || ids.has(led_to ?? '');
    const takenOver = new Set(known.filter(isOfBranch).map(({ reused_from }) => reused_from));
    const origin = known.find(
      (effect) => !isOfBranch(effect) && effect.reused_from === null && !takenOver.has(effect.effect_id),
    );
    if (!origin) return;
    if (call.onFork === 'forbid') {
      throw new ConflictError(
        `The effect "${call.name}" was done in another branch of this thread and may not be done again: go on in that branch, or fork after it`,
      );
    }
    if (origin.same_args) await effects.adopt(run, call, origin.effect_id);
  }

  async #encode(call: EffectCall, effectId: string, value: unknown): Promise<Uint8Array> {
    return this.#parts.codec.encode(serialize(value, `the result of "${call.name}"`), this.#contextOf(call, effectId));
  }

  async #decode(call: EffectCall, stored: Extract<StoredState, { is: 'done' }>): Promise<unknown> {
    if (stored.result === null) return undefined;
    return revive(
      JSON.parse(await this.#parts.codec.decode(stored.result, this.#contextOf(call, stored.resultOf))) as Json,
    );
  }

  #contextOf(call: EffectCall, id: string) {
    const thread_id = call.scope === 'global' ? '' : this.#context.attempt.run.thread_id;
    return { thread_id, checkpoint_ns: '', kind: 'effect', id } as const;
  }
}

/** A run that is saved at its end only begins anew after a crash, with other tasks: nobody would find what they did. */
function unsaved(name: string): InvalidInputError {
  return new InvalidInputError(
    `"${name}" needs a run whose state is saved: with durability "exit" a crash would lose its place. Use "auto", which saves before it, "sync" or "async"`,
  );
}

import { COUNTED_KEY, type EffectCall, type EffectKind, type EffectLedger } from '../core/effect.ts';
import { InvalidInputError } from '../core/errors.ts';
import { MemoryLedger } from './memory-ledger.ts';
import { nodePlace, OUTSIDE, type NodePlace } from './node-place.ts';

/** A call of the ledger from the node that is executed. */
export interface LedgerUse {
  ledger: EffectLedger;
  call: EffectCall;
  /** Whether a Baton server keeps the ledger. */
  isServed: boolean;
  signal: AbortSignal | undefined;
}

type CallOptions = Partial<Pick<EffectCall, 'scope' | 'argsHash' | 'onFork' | 'onUnknown' | 'timeout'>> & {
  key?: string | undefined;
  /** Without a key: calls are counted by this, too. */
  countedBy?: string;
};

// eslint-disable-next-line no-control-regex -- these are what is looked for
const CONTROL = /[\u0000-\u001f]/;
const MAX_NAME = 200;
const MAX_KEY = 500;

/** @throws InvalidInputError for a name or a key that is empty or too long. */
export function openLedger(kind: EffectKind, name: string, options: CallOptions): LedgerUse {
  requireText(name, MAX_NAME, `The name of ${kind === 'effect' ? 'an effect' : `a ${kind}`}`);
  if (options.key !== undefined) requireText(options.key, MAX_KEY, `The key of "${name}"`);
  const place = nodePlace() ?? OUTSIDE;
  const { at, site, node, nodeAttempt, checkpointId } = place;
  const { ledger, calls } = ledgerAt(place);
  const {
    scope = 'step',
    key,
    argsHash = null,
    onFork = 'rerun',
    onUnknown = 'retry',
    timeout = null,
    countedBy = '',
  } = options;
  const isStep = scope === 'step';
  return {
    ledger,
    isServed: place.execution !== null,
    signal: place.signal,
    call: {
      kind,
      name,
      scope,
      place: isStep ? at : '',
      at,
      site,
      key: key ?? (isStep ? nextKey(calls, `${nodeAttempt}${at}\n${name}`, countedBy) : ''),
      argsHash,
      onFork,
      onUnknown,
      node,
      checkpointId,
      nodeAttempt,
      timeout,
    },
  };
}

/** Which call of that name, and for that, at that place this is. */
function nextKey(calls: Map<string, number>, called: string, by: string): string {
  const counted = `${called}\n${by}`;
  const count = calls.get(counted) ?? 0;
  calls.set(counted, count + 1);
  return COUNTED_KEY + by + String(count);
}

function requireText(text: string, max: number, what: string): void {
  if (typeof text === 'string' && text.length > 0 && text.length <= max && !CONTROL.test(text)) return;
  throw new InvalidInputError(`${what} must be a text of 1 to ${max} characters, none of them a control character`);
}

/** What is remembered without a server goes with the graph's checkpointer, or with the execution where there is none. */
const REMEMBERED = new WeakMap<object, MemoryLedger>();
const COUNTED = new WeakMap<object, { nodeAttempt: number; calls: Map<string, number> }>();

function ledgerAt(place: NodePlace): { ledger: EffectLedger; calls: Map<string, number> } {
  const { at, execution, checkpointer, scratchpad, nodeAttempt } = place;
  if (execution) return execution;
  const owner = checkpointer ?? scratchpad ?? {};
  const ledger = REMEMBERED.get(owner) ?? new MemoryLedger();
  REMEMBERED.set(owner, ledger);
  const known = scratchpad ? COUNTED.get(scratchpad) : undefined;
  if (known?.nodeAttempt === nodeAttempt) return { ledger, calls: known.calls };
  const calls = new Map<string, number>();
  if (scratchpad) COUNTED.set(scratchpad, { nodeAttempt, calls });
  ledger.begins(at);
  return { ledger, calls };
}

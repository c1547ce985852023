import { parseArgs } from 'node:util';
import type { ConfigFlags } from '../config/config.ts';
import { InvalidInputError, messageOf } from '../core/errors.ts';

/** What a command is told on its command line. */
export interface CliOptions {
  configPath: string;
  flags: ConfigFlags;
  /** False: this process answers the API and leaves the runs to others. */
  worker: boolean;
  /** For the demo: end when it is done, and the document of a person's own. */
  once: boolean;
  pdf: string | null;
  /** Of an API key. */
  name: string;
  scope: string | null;
  /** Not an API key, but one for encrypted stores. */
  encryption: boolean;
  /** Of a copy of state: between which stores, which threads, and of which graph. */
  from: string | null;
  to: string | null;
  threads: string[] | null;
  graph: string | null;
  /** Of a sweep, a copy or a rotation: only say what it would do. */
  dryRun: boolean;
  /** Of a sweep: what is younger is left alone. */
  olderThan: string;
  /** What stands beside the options: what a command with several uses is to do. */
  words: string[];
  help: boolean;
}

export const OPTIONS_HELP = `
  -c, --config PATH   langgraph.json of the project to serve (default: ./langgraph.json)
  -p, --port N        port of the API (default: 2024; 0 = any free one); of a worker: for /ok and /metrics
      --host H        address to listen on (default: 127.0.0.1)
      --insecure      allow an address that others can reach, although no authentication is configured
  -n, --workers N     runs at once (default: 10)
      --once          end when the demo is done instead of serving on (demo)
      --pdf FILE      a document of your own (demo)
      --name NAME     whose key it is (key; default: default)
      --encryption    make a key for encrypted stores, of BATON_KEYS (key)
      --scope SCOPE   what it may do: read, write or admin (key; default: admin)
      --from URL      the store that threads are copied from (state copy; default: the project's)
      --to URL        the store that they are copied to (state copy; default: the project's)
      --threads IDS   only these, separated by commas (state copy)
      --graph ID      only threads of this graph, which also takes those that Baton does not know yet (state copy)
      --dry-run       only say what would be done, or is the case (state copy, blobs sweep, rotate-keys)
      --older-than D  leave alone what is younger (blobs sweep; default: 1d)
      --no-worker     answer the API only and leave the runs to other processes (start)
  -h, --help          this text
  -v, --version       Baton's version`;

/** @throws InvalidInputError with one line for an option that is unknown or wrong. */
export function parseOptions(args: string[]): CliOptions {
  const { values, positionals } = parse(args);
  return {
    configPath: values.config,
    flags: {
      host: values.host,
      port: integer('--port', values.port, 0, 65_535),
      workers: integer('--workers', values.workers, 1, 1000),
      insecure: values.insecure,
    },
    worker: !values['no-worker'],
    once: values.once,
    pdf: values.pdf ?? null,
    name: values.name,
    scope: values.scope ?? null,
    encryption: values.encryption,
    from: values.from ?? null,
    to: values.to ?? null,
    threads: values.threads?.split(',').filter(Boolean) ?? null,
    graph: values.graph ?? null,
    dryRun: values['dry-run'],
    olderThan: values['older-than'],
    words: positionals,
    help: values.help,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c', default: 'langgraph.json' },
        port: { type: 'string', short: 'p' },
        host: { type: 'string' },
        insecure: { type: 'boolean' },
        workers: { type: 'string', short: 'n' },
        'no-worker': { type: 'boolean', default: false },
        once: { type: 'boolean', default: false },
        pdf: { type: 'string' },
        name: { type: 'string', default: 'default' },
        scope: { type: 'string' },
        encryption: { type: 'boolean', default: false },
        from: { type: 'string' },
        to: { type: 'string' },
        threads: { type: 'string' },
        graph: { type: 'string' },
        'dry-run': { type: 'boolean', default: false },
        'older-than': { type: 'string', default: '1d' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new InvalidInputError(`${messageOf(error).split('. ')[0]}. See baton --help`);
  }
}

function integer(name: string, value: string | undefined, min: number, max: number): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value || Number.NaN);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new InvalidInputError(`${name} must be a whole number from ${min} to ${max}, not "${value}"`);
}

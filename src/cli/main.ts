import { ServiceError, messageOf } from '../core/errors.ts';
import { OPTIONS_HELP, parseOptions, type CliOptions } from './options.ts';
import { version } from './version.ts';

type Run = (options: CliOptions, args: string[]) => Promise<void>;

interface Command {
  /** Absent: for Baton's own use. */
  summary?: string;
  /** It takes words, too, which say what it is to do. */
  words?: boolean;
  load: () => Promise<Run>;
}

const COMMANDS: Record<string, Command> = {
  dev: {
    summary: 'serve a project and start again when its files change',
    load: async () => (await import('./dev.ts')).dev,
  },
  'dev-server': { load: async () => (await import('./dev-server.ts')).devServer },
  start: { summary: 'serve a project: API and worker', load: async () => (await import('./start.ts')).start },
  worker: { summary: 'execute runs only', load: async () => (await import('./worker.ts')).worker },
  demo: {
    summary: 'the invoice pipeline end to end, with a worker killed half-way (in a checkout of Baton)',
    load: async () => (await import('./demo/demo.ts')).demo,
  },
  key: {
    summary: 'make an API key, or one that encrypts',
    load: async () => (await import('./key.ts')).key,
  },
  'rotate-keys': {
    summary: 'wrap the keys of encrypted stores by the first of BATON_KEYS',
    load: async () => (await import('./rotate-keys.ts')).rotateKeys,
  },
  state: {
    summary: 'copy: copy threads from one state store to another, also those of the stock PostgresSaver',
    words: true,
    load: async () => (await import('./state.ts')).state,
  },
  blobs: {
    summary: 'sweep: remove from the blob store what nobody uses',
    words: true,
    load: async () => (await import('./blobs.ts')).blobs,
  },
  migrate: {
    summary: 'bring the databases up to date and end',
    load: async () => (await import('./migrate.ts')).migrate,
  },
};

/** The `baton` command. Ends the process: a project's graphs may have left open what would keep it up. */
export async function main(args: string[]): Promise<void> {
  try {
    await runCommand(args);
    process.exit(process.exitCode ?? 0);
  } catch (error) {
    console.error(`baton: ${explain(error)}`);
    process.exit(1);
  }
}

async function runCommand([name = '--help', ...rest]: string[]): Promise<void> {
  if (name === '--version' || name === '-v') return console.log(version());
  if (name === '--help' || name === '-h' || name === 'help') return console.log(help());
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new ServiceError('invalid_input', `there is no command "${name}". See baton --help`);
  const options = parseOptions(rest);
  if (options.help) return console.log(help());
  const [word] = options.words;
  if (word !== undefined && !command.words) {
    throw new ServiceError('invalid_input', `baton ${name} does not take "${word}". See baton --help`);
  }
  const run = await command.load();
  await run(options, rest);
}

function help(): string {
  const commands = Object.entries(COMMANDS)
    .filter(([, { summary }]) => summary)
    .map(([name, { summary }]) => `  ${name.padEnd(18)}  ${summary}`);
  return `baton <command> [options]\n\n${commands.join('\n')}\n${OPTIONS_HELP}`;
}

/** What a person can act on is one line; anything else is a fault of ours, and its stack says where. */
function explain(error: unknown): string {
  const expected = error instanceof ServiceError || (error instanceof Error && 'syscall' in error);
  return !expected && error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}

import { pino, type Logger } from 'pino';
import type { LogLevel } from '../config/env.ts';

/** One JSON object a line, for machines; for a person at a terminal, or in development, plain lines. */
export function createLogger(level: LogLevel, { plain = process.stdout.isTTY } = {}): Logger {
  const destination = plain ? { write: writePlain } : pino.destination({ fd: 1, sync: true });
  return pino({ level, base: null }, destination);
}

function writePlain(line: string): void {
  const { level, time, msg = '', err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = new Date(time as number).toTimeString().slice(0, 8);
  const details = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  const stack = (err as { stack?: string } | undefined)?.stack;
  const name = pino.levels.labels[level as number] ?? '';
  process.stdout.write(`${clock} ${name.padEnd(5)} ${msg as string}${details.join('')}${stack ? `\n${stack}` : ''}\n`);
}

import { once } from 'node:events';
import { WebSocket } from 'ws';
import { uuidv7 } from '../../src/core/ids.ts';
import { Random } from '../random.ts';
import { rpcSchemas } from './commands.ts';
import type { FuzzOptions } from './fuzz.ts';
import { malform, malformBytes } from './malform.ts';
import { toText } from './odd-values.ts';
import { validValue } from './valid-value.ts';

const HANG_MS = 20_000;
/** Sent away for what is no WebSocket's, for text that is no UTF-8, for too much. */
const DESERVED = new Set([1002, 1006, 1007, 1009]);
/** It must answer this one, whatever came before it. */
const SENTINEL = 'sentinel';

/** Sends malformed frames to a WebSocket of the protocol of threads. Returns what went wrong. */
export async function fuzzSocket({ url, headers, seed, requests }: FuzzOptions): Promise<string[]> {
  const random = new Random(seed);
  const schemas = rpcSchemas('POST /threads/{thread_id}/commands') ?? [];
  const faults: string[] = [];
  const known = { assistant_id: 'line', thread_id: uuidv7() };
  for (let sent = 0; sent < requests; sent += 10) {
    const frames = Array.from({ length: 10 }, () =>
      Buffer.from(toText(malform(validValue(random.pick(schemas), random, known), random))),
    );
    const fault = await converse(`${url.replace('http', 'ws')}/threads/${known.thread_id}/stream/events`, headers, {
      frames,
      random,
    });
    if (fault !== null) faults.push(`${fault}: ${frames.map((frame) => frame.toString().slice(0, 300)).join('\n  ')}`);
  }
  return faults;
}

async function converse(
  url: string,
  headers: Record<string, string>,
  { frames, random }: { frames: Buffer[]; random: Random },
): Promise<string | null> {
  const socket = new WebSocket(url, { headers });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close').then(([code]) =>
    DESERVED.has(code as number) ? null : `the socket was closed with ${code}`,
  );
  const answered = new Promise<string | null>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const text = data.toString();
      if (text.includes('unknown_error')) resolve(text);
      if (text.includes(SENTINEL)) resolve(null);
    });
    setTimeout(resolve, HANG_MS, `no answer within ${HANG_MS / 1000} s`).unref();
  });
  await once(socket, 'open');
  for (const frame of frames) sendOddly(socket, frame, random);
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ id: 1, method: SENTINEL }));
  const fault = await Promise.race([answered, closed]);
  socket.terminate();
  return fault;
}

function sendOddly(socket: WebSocket, frame: Buffer, random: Random): void {
  switch (random.int(0, 12)) {
    case 0:
      socket.send(malformBytes(frame, random), { binary: false });
      break;
    case 1:
      socket.send(frame, { binary: true });
      break;
    case 2:
      socket.ping(random.bytes(random.int(0, 125)));
      break;
    case 3:
      socket.send(frame.subarray(0, 5), { fin: false, binary: false });
      socket.send(frame.subarray(5), { fin: true, binary: false });
      break;
    case 4:
      // No frame at all; seldom, since it is the end of the socket.
      if (random.chance(0.2)) (socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(random.bytes(20));
      break;
    default:
      socket.send(frame, { binary: false });
  }
}

// A thread of its own: to read a graph's types takes seconds and much memory. Plain JavaScript, as nothing loads TypeScript
// for a thread before it does so itself. It answers each source that it is sent, in order.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

const { compiler, readerUrl } = workerData;
if (readerUrl.endsWith('.ts')) register();
const { GraphTypeReader } = await import(readerUrl);
const reader = new GraphTypeReader(createRequire(import.meta.url)(compiler));

parentPort.on('message', (source) => {
  try {
    parentPort.postMessage(reader.read(source));
  } catch (error) {
    parentPort.postMessage({ error: String(error?.message ?? error) });
  }
});

import { parentPort, workerData } from 'node:worker_threads';
import { S3mini } from 's3mini';

const signer = new S3mini(workerData);

parentPort.on('message', (request) => void answer(request));

async function answer({ path, query, timeoutMs, answered, port }) {
  try {
    const address = await signer.getPresignedUrl('GET', path, 900, query);
    const response = await fetch(address, { signal: AbortSignal.timeout(timeoutMs) });
    const body = new Uint8Array(await response.arrayBuffer());
    port.postMessage({ status: response.status, body }, [body.buffer]);
  } catch (error) {
    port.postMessage({ error: String(error?.cause?.message ?? error?.message ?? error) });
  }
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
}

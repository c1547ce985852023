import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { S3mini } from 's3mini';

const signer = new S3mini(workerData);

parentPort.on('message', (request) => void answer(request));

async function answer({ answered, port, ...request }) {
  try {
    const { status, body } = await fetched(request, Date.now() + request.timeoutMs);
    port.postMessage({ status, body }, [body.buffer]);
  } catch (error) {
    port.postMessage({ error: String(error?.cause?.message ?? error?.message ?? error) });
  }
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
}

/** A server that is busy or broken, or out of reach, may be neither in a moment. */
async function fetched({ path, query, pausesMs }, deadlineMs) {
  for (let tries = 0; ; tries += 1) {
    const isLast = tries === pausesMs.length || Date.now() + pausesMs[tries] >= deadlineMs;
    try {
      const address = await signer.getPresignedUrl('GET', path, 900, query);
      const response = await fetch(address, { signal: AbortSignal.timeout(Math.max(deadlineMs - Date.now(), 1)) });
      const { status } = response;
      if (isLast || (status < 500 && status !== 429)) {
        return { status, body: new Uint8Array(await response.arrayBuffer()) };
      }
      await response.body?.cancel();
    } catch (error) {
      if (isLast || error?.name === 'TimeoutError') throw error;
    }
    await delay(pausesMs[tries]);
  }
}

/** What a parent sends to a child that is to stop: signals would kill on Windows. */
export const STOP = 'stop';
/** A killed parent is seen to have gone before the system counts it as dead: whoever asks for it should find it dead. */
const PARENT_DIES_MS = 250;
/** Signals come twice when a terminal and npm both pass Ctrl-C on: only a later one is a person's second. */
const SECOND_THOUGHT_MS = 2000;

/**
 * Resolves when this process is told to stop: by a signal, or, when it is a child, by its parent's word or death.
 * A second Ctrl-C a while later ends it at once.
 */
export function stopRequest(): Promise<void> {
  return new Promise((resolve) => {
    let askedAtMs = Number.POSITIVE_INFINITY;
    const ask = (): void => {
      if (performance.now() - askedAtMs > SECOND_THOUGHT_MS) process.exit(130);
      askedAtMs = Math.min(askedAtMs, performance.now());
      resolve();
    };
    process.on('SIGINT', ask);
    process.on('SIGTERM', ask);
    process.on('message', (message) => message === STOP && resolve());
    process.on('disconnect', () => setTimeout(resolve, PARENT_DIES_MS));
    const { connected } = process as { connected?: boolean }; // undefined without a parent that talks
    if (connected === false) resolve();
  });
}

/** Signals come twice when a terminal and npm both pass Ctrl-C on: only a later one is a person's second. */
const SECOND_THOUGHT_MS = 2000;

/**
 * Resolves when this process is told to stop: by a signal, or, when it is a child, by its parent's letting go or dying.
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
    process.on('disconnect', resolve);
    const { connected } = process as { connected?: boolean }; // undefined without a parent that talks
    if (connected === false) resolve();
  });
}

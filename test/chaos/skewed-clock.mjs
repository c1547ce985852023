// Loaded before a worker: its clock is wrong by so many milliseconds, in every thread of it.
const skewMs = Number(process.env['CHAOS_SKEW_MS'] ?? 0);
const now = Date.now;
Date.now = () => now() + skewMs;
globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [target.now()] : args, newTarget),
});

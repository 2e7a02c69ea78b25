// What must not outlive this process, however it ends (except by SIGKILL, which no process can answer).

const FATAL_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const cleanups = new Set<() => void>();
let listening = false;

/**
 * Calls a function when this process ends: by itself, by `process.exit`, by an uncaught exception, or by a signal.
 * @param cleanup has no time to wait for anything: what it does must be synchronous.
 * @returns a function that takes the cleanup back, for when it is no longer needed.
 */
export function atExit(cleanup: () => void): () => void {
  if (!listening) {
    listening = true;
    process.once("exit", runAll);
    for (const signal of FATAL_SIGNALS) process.on(signal, onFatalSignal);
  }
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

function onFatalSignal(signal: NodeJS.Signals): void {
  // Somebody else (the command line) listens too: then the end is theirs, in order, and 'exit' is the net below it.
  if (process.listenerCount(signal) > 1) return;
  runAll();
  process.off(signal, onFatalSignal);
  process.kill(process.pid, signal);
}

function runAll(): void {
  for (const cleanup of cleanups) cleanup();
  cleanups.clear();
}

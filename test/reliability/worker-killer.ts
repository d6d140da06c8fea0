// A defect of the packet loop that no input is known to bring about: its thread ends.

const SOURCE = `
import workers from "node:worker_threads";
import { syncBuiltinESMExports } from "node:module";
const all = new Set();
workers.Worker = class extends workers.Worker {
  constructor(...args) {
    super(...args);
    all.add(this);
    this.once("exit", () => all.delete(this));
  }
};
syncBuiltinESMExports();
if (workers.isMainThread) process.on("SIGUSR2", () => all.forEach((worker) => worker.terminate()));
`;

/** The environment of a twilld whose worker threads end at SIGUSR2. */
export const WORKER_KILLER: Readonly<Record<string, string>> = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(SOURCE)}`,
};

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, describeError } from "../../pkg/base/errors.ts";
import { labNames, removeLab } from "../../pkg/lab/directory.ts";
import { type Command, parseArguments, type UpCommand } from "./arguments.ts";
import { detach, type UpMessage } from "./detach.ts";
import type { Screen } from "./progress.ts";
import { chooseLab, etcdctl, exec, logs, statusText } from "./running.ts";
import { up } from "./up.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const PARENT_CHECK_MS = 500;

// Set by a process that runs us in the background: whether it writes to a terminal, "1" or "0".
const inBackground = process.env["TWILL_LAB_TERMINAL"];
const screen: Screen = {
  terminal: process.stdout.isTTY || inBackground === "1",
  write: (text) => void process.stdout.write(text),
};

async function run(command: Command, args: readonly string[]): Promise<number> {
  switch (command.command) {
    case "help":
      screen.write(readFileSync(join(import.meta.dirname, "usage.txt"), "utf8"));
      return 0;
    case "up": {
      const stop = stopSignal();
      if (!command.detach) return runUp(command, stop);
      const others = args.filter((arg) => arg !== "--detach");
      return detach(import.meta.filename, others, screen.terminal, stop);
    }
    case "down":
      return down(command.name, command.all);
    case "status":
      screen.write(`${statusText(command.name)}\n`);
      return 0;
    case "logs":
      await logs(command.name, command.of);
      return 0;
    case "exec":
      return exec(command.name, command.place, command.argv);
    case "etcdctl":
      return etcdctl(command.name, command.args);
  }
}

async function runUp(command: UpCommand, stop: AbortSignal): Promise<number> {
  let wasUp = false;
  const healthy = await up(command, {
    screen,
    signal: stop,
    onUp: (healthy) => {
      wasUp = true;
      const name = command.name === undefined ? "" : ` --name ${command.name}`;
      const first = command.pods > 0 ? "pod1.1" : "node1";
      screen.write(
        `  npm run lab -- exec${name} ${first} -- ip address\n` +
          `  npm run lab -- etcdctl${name} get --prefix /coreos.com/network\n` +
          (inBackground === undefined ? "Ctrl-C stops the lab.\n" : `  npm run lab -- down${name}\n`),
      );
      process.send?.({ healthy } satisfies UpMessage);
    },
  });
  if (!wasUp) return EXIT_INTERRUPTED;
  screen.write("Stopped; nothing is left behind.\n");
  return healthy ? 0 : EXIT_FAILED;
}

async function down(name: string | undefined, all: boolean): Promise<number> {
  const names = all ? labNames() : [chooseLab(name)];
  for (const name of names) {
    await removeLab(name);
    screen.write(`${name} is stopped and removed\n`);
  }
  if (names.length === 0) screen.write("there is no lab\n");
  return 0;
}

// Aborts on Ctrl-C and the like, and when the npm that started us is gone: it may be killed without telling us, and a
// lab that nobody can stop any more would stay.
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  if (process.env["npm_lifecycle_event"] !== undefined && inBackground === undefined) {
    const parent = process.ppid;
    const check = setInterval(() => {
      if (process.ppid !== parent) stop();
    }, PARENT_CHECK_MS);
    controller.signal.addEventListener("abort", () => clearInterval(check), { once: true });
    check.unref();
  }
  // In the background nobody reads any more what is written.
  if (inBackground !== undefined) for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  return controller.signal;
}

function complain(error: unknown): void {
  const problems = error instanceof ConfigError ? error.problems : [describeError(error)];
  for (const problem of problems) process.stderr.write(`lab: ${problem}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  let command: Command;
  try {
    command = parseArguments(args);
  } catch (error) {
    complain(error);
    return EXIT_USAGE;
  }
  try {
    return await run(command, args);
  } catch (error) {
    complain(error);
    return EXIT_FAILED;
  }
}

process.exitCode = await main(process.argv.slice(2));
// A process in the background keeps the channel to the one that started it; nothing else should hold us.
process.disconnect?.();

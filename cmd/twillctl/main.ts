import { EXIT } from "./command.ts";
import { run } from "./run.ts";

// `twillctl leases | head -1` closes the pipe early, and that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`twillctl: cannot write to standard output: ${error.message}\n`);
  process.exit(EXIT.refused);
});
// Whom nobody reads on stderr has its exit code to tell by.
process.stderr.on("error", () => undefined);

// The first Ctrl-C ends what is shown in good order, the second at once.
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const { stdout, stderr, stdin } = process;
void run(process.argv.slice(2), process.env, { stdout, stderr, stdin, signal: stop.signal }).then((code) => {
  process.exitCode = code;
});

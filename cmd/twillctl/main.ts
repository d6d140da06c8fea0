import { run } from "./run.ts";

// `twillctl leases | head -1` closes the pipe early, and that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

void run(process.argv.slice(2), process.env, process).then((code) => {
  process.exitCode = code;
});

import { readFileSync } from "node:fs";
import { isatty } from "node:tty";
import { interfaceExists } from "../../pkg/cni/netns.ts";
import { runPlugin } from "../../pkg/cni/run.ts";
import { readSubnetEnv } from "../../pkg/subnetenv/file.ts";

const STDIN = 0;

// A program started by hand would wait for a netconf that nobody types.
function readStdin(): string {
  return isatty(STDIN) ? "" : readFileSync(STDIN, "utf8");
}

void runPlugin(process.env, readStdin, {
  readPodNetwork: readSubnetEnv,
  interfaceExists,
  warn: (sentence) => console.error(`twill-cni: ${sentence}`),
}).then(({ stdout, error }) => {
  if (stdout !== "") console.log(stdout);
  if (error) process.exitCode = 1;
});

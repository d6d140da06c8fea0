// A runtime waits for this program before every pod. It does everything synchronously, since loading Node's streams and
// child processes alone takes 20 ms.

import { fstatSync, readFileSync, writeFileSync } from "node:fs";
import { interfaceExists } from "../../pkg/cni/netns.ts";
import { runPlugin } from "../../pkg/cni/run.ts";
import { readSubnetEnv } from "../../pkg/subnetenv/file.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

// On a terminal the program would wait for a netconf that nobody types. (node:tty would tell a terminal from /dev/null,
// and load the streams.)
function readStdin(): string {
  return fstatSync(STDIN).isCharacterDevice() ? "" : readFileSync(STDIN, "utf8");
}

const { stdout, error } = runPlugin(process.env, readStdin, {
  readPodNetwork: readSubnetEnv,
  interfaceExists: (netns, ifname) => interfaceExists(netns, ifname, process.env),
  warn: (sentence) => writeFileSync(STDERR, `twill-cni: ${sentence}\n`),
});
if (stdout !== "") writeFileSync(STDOUT, `${stdout}\n`);
// Everything is written: without this Node would take its engine apart for milliseconds more.
process.exit(error ? 1 : 0);

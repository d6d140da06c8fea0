// `npm run docs:shots`: docs/tour.md, docs/shots/*.png and the blocks of the README, from a real lab: five nodes, traffic
// between two of them, and what node1 sends to node3 does not arrive. Set in Inter where the machine has it (fonts-inter).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser } from "playwright-core";
import { Lab } from "../../pkg/lab/lab.ts";
import { BIN, pluginDirectory, TOP, TWILLCTL } from "../../pkg/lab/programs.ts";
import { openBrowser } from "../browser.ts";
import { document } from "../netns/documented.ts";
import { until } from "../until.ts";

const SHOTS = join(TOP, "docs/shots");
const TOUR = join(TOP, "docs/tour.md");
const README = join(TOP, "README.md");
/** Down to the table of nodes. */
const SIZE = { width: 1280, height: 1110 };

type Node = Lab["nodes"][number];

async function main(): Promise<void> {
  const lab = await Lab.create();
  let browser: Browser | undefined;
  const stop = new AbortController();
  try {
    for (const args of [[], [], [], ["--dataplane=kernel"], []]) await lab.addNode({ args });
    await Promise.all(lab.nodes.map((node) => node.start()));
    await Promise.all(lab.nodes.map((node) => node.ready()));
    for (const node of lab.nodes) await node.addPod();
    await startTraffic(lab);
    const url = await startUi(lab, stop.signal);
    browser = await openBrowser();
    const page = await browser.newPage({ viewport: SIZE });
    await page.goto(url);
    const ways = (state: string): Promise<number> => page.locator(`#map .way[data-state="${state}"]`).count();
    // A machine that is busy loses echoes, which is what "degraded" says.
    const working = async (): Promise<number> => (await ways("up")) + (await ways("degraded"));
    await until(async () => (await working()) === 20);
    await lab
      .node(3)
      .run([
        "nft",
        "table inet broken { chain c { type filter hook input priority raw; udp dport 8472 ip saddr 172.31.1.1 drop; }; }",
      ]);
    await Promise.all(
      [1, 3].map((i) => lab.node(i).netns.capture([TWILLCTL, `--socket=${lab.node(i).socket}`, "probe"])),
    );
    await until(async () => (await ways("broken")) === 1 && (await working()) === 19);
    mkdirSync(SHOTS, { recursive: true });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      if (colorScheme === "dark") await page.locator("#troubles button").first().click();
      await page.screenshot({ path: join(SHOTS, `ui-${colorScheme}.png`) });
    }
    await record(lab);
  } finally {
    stop.abort();
    await browser?.close();
    await lab.close();
  }
}

async function startTraffic(lab: Lab): Promise<void> {
  const [from, to] = [lab.pod(2, 1), lab.pod(1, 1)];
  const log = join(lab.directory, "iperf3.log");
  await to.netns.start(["iperf3", "--server", "--forceflush"], { name: "iperf3", log });
  await until(() => readFileSync(log, "utf8").includes("Server listening"));
  await from.netns.start(["iperf3", "-c", to.address, "-b", "40M", "-t", "600"], { name: "iperf3", log });
}

async function startUi(lab: Lab, signal: AbortSignal): Promise<string> {
  const args = ["ui", "--json", ...lab.nodes.map(({ socket }) => `--socket=${socket}`)];
  const ui = spawn(TWILLCTL, args, { stdio: ["ignore", "pipe", "inherit"] });
  signal.addEventListener("abort", () => ui.kill("SIGINT"));
  const [line] = (await once(createInterface(ui.stdout), "line")) as [string];
  return (JSON.parse(line) as { url: string }).url;
}

/** Runs the commands that stand in the documents on node1, and puts what they print in the place of what is there. */
async function record(lab: Lab): Promise<void> {
  const node = lab.node(1);
  const confDir = join(node.directory, "net.d");
  mkdirSync(confDir);
  copyFileSync(join(TOP, "deploy/cni/10-twill.conflist"), join(confDir, "10-twill.conflist"));
  symlinkSync(pluginDirectory() ?? "/usr/lib/cni", join(node.directory, "plugins"));
  symlinkSync(BIN, join(node.directory, "bin"));
  for (const file of [TOUR, README]) {
    const commands = [...readFileSync(file, "utf8").matchAll(/```console\n\$ twillctl ([^\n]*)/g)].map(
      ([, args = ""]) => args,
    );
    const outputs: string[] = [];
    for (const args of commands) outputs.push(await run(node, lab, args));
    document(file, outputs);
  }
  writeFileSync(TOUR, readFileSync(TOUR, "utf8").replaceAll(/\n{3,}/g, "\n\n"));
}

async function run(node: Node, lab: Lab, args: string): Promise<string> {
  const words = args.replace("POD-IP", lab.pod(3, 1).address).split(" ");
  const argv = ["env", "-C", node.directory, `TWILL_SOCKET=${node.socket}`, TWILLCTL, ...words];
  const { stdout, stderr } = await node.netns.capture(argv);
  return stdout + stderr;
}

await main();

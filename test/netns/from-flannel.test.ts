// docs/from-flannel.md, done: three nodes of flannel's with pods become twill's one after the other, and flannel's again.
// The commands are those of the document, run as they stand there, with this lab's paths.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { BIN } from "../../pkg/lab/programs.ts";
import { prefix } from "../literals.ts";
import { until } from "../until.ts";
import { type Conversation, converse } from "./conversation.ts";
import { FlanneldStandIn, NETWORK } from "./flanneld-stand-in.ts";
import { readLeases } from "./kernel-peer.ts";
import { notRoot, rootTitle, TOP } from "./netns.ts";
import { transferTcp } from "./tcp.ts";

const MB = 1_000_000;
const DOCUMENT = readFileSync(join(TOP, "docs/from-flannel.md"), "utf8");

/** The shell commands below a heading of the document, one a line. */
function commandsUnder(heading: string): string[] {
  const section = DOCUMENT.split(/^## /m).find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/from-flannel.md has no section ${heading}`);
  const blocks = [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, text = ""]) => text);
  const commands = blocks.flatMap((text) => text.split("\n").map((line) => line.trim())).filter((line) => line !== "");
  expect(commands.length).toBeGreaterThan(3);
  return commands;
}

describe.skipIf(notRoot)(rootTitle("a cluster of flannel's moves to twill and back"), () => {
  let lab: Lab;
  let flannelds: readonly FlanneldStandIn[];
  /** Those that run. */
  const running = new Set<FlanneldStandIn>();
  // One by the tun plane, one by the kernel's, one by the tun plane again.
  const flags: readonly (readonly string[])[] = [[], ["--dataplane=kernel"], []];

  beforeAll(async () => {
    lab = await Lab.create({ config: { Network: NETWORK, Backend: { Type: "vxlan" } } });
    for (const args of flags) await lab.addNode({ args });
    flannelds = lab.nodes.map((node) => new FlanneldStandIn(lab, node));
    for (const [i, flanneld] of flannelds.entries()) {
      await flanneld.start(prefix(`10.244.${i + 10}.0/24`));
      running.add(flanneld);
    }
    await syncFlannelds();
    for (const node of lab.nodes) await node.addPod();
  });
  afterAll(() => lab?.close());

  async function syncFlannelds(): Promise<void> {
    for (const flanneld of running) await flanneld.sync();
  }

  const subnets = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await readLeases(lab)).map(({ key, attrs }) => [key, String(attrs.publicIp[4]?.value)]));

  /** Runs the document's commands on a node. systemctl is played: there is no systemd here. */
  async function follow(heading: string, i: number): Promise<void> {
    const node = lab.node(i);
    const flanneld = flannelds[i - 1];
    if (!flanneld) throw new Error(`there is no flanneld ${i}`);
    for (const command of commandsUnder(heading)) {
      switch (command) {
        case "systemctl disable --now flanneld":
          running.delete(flanneld);
          break;
        case "systemctl enable --now flanneld":
          await flanneld.start();
          running.add(flanneld);
          break;
        case "systemctl enable --now twilld":
          await node.start();
          await node.ready();
          break;
        case "systemctl disable --now twilld":
          await node.stop();
          break;
        default:
          expect(command).not.toContain("systemctl");
          await runOn(node, command);
      }
      await syncFlannelds();
    }
  }

  async function runOn(node: Node, command: string): Promise<void> {
    const here = command.replaceAll("/run/flannel/subnet.env", node.subnetFile).replaceAll("/run/twill", node.runDir);
    await node.netns.run(["sh", "-ec", here], {
      env: { PATH: `${BIN}:${process.env["PATH"] ?? ""}`, TWILL_SOCKET: node.socket },
    });
  }

  /** Every pod sends to every other, and is seen by its own address. */
  async function expectAllTcp(): Promise<void> {
    for (const from of lab.pods) {
      for (const to of lab.pods) {
        if (from === to) continue;
        await until(async () => (await from.netns.capture(["ping", "-c", "1", "-W", "1", to.address])).status === 0);
        const transfer = await transferTcp(from, to, MB, lab.directory);
        expect(transfer, `${from.name} to ${to.name}`).toEqual({ sender: from.address, bytes: MB, intact: true });
      }
    }
  }

  /** Connections that were open all the while: not a byte was lost. */
  async function expectUnbroken(open: readonly Conversation[]): Promise<void> {
    for (const conversation of open) {
      const talk = await conversation.end();
      expect(talk).toMatchObject({ echoed: talk.sent, error: null });
      console.log(`longest gap of an open connection: ${talk.longestGapMs} ms`);
    }
  }

  const rulesOf = async (node: Node): Promise<string> =>
    (await node.run(["sh", "-c", "iptables-save; nft list ruleset; ip -brief link"])).stdout;

  test("as flannel's, all pods reach all pods", async () => {
    await expectAllTcp();
  });

  test.each([1, 2, 3])(
    "node %i becomes twill's, with its subnet, beside the others",
    { timeout: 180_000 },
    async (i) => {
      const before = await subnets();
      const pod = lab.pod(i, 1);
      const other = lab.pod((i % 3) + 1, 1);
      const open = [await converse(other, pod, lab.directory), await converse(pod, other, lab.directory)];
      await follow("One node from flanneld to twilld", i);
      await expectUnbroken(open);
      expect(await subnets()).toEqual(before);
      await expectAllTcp();
      expect(await rulesOf(lab.node(i))).not.toMatch(/FLANNEL|flanneld|flannel-ipv4/);
      // A pod that comes now is attached by twill's plugin as before.
      const late = await lab.node(i).addPod();
      expect(late.address.split(".").slice(0, 3)).toEqual(pod.address.split(".").slice(0, 3));
      await late.detach();
      lab.node(i).pods.splice(lab.node(i).pods.indexOf(late), 1);
    },
  );

  test.each([1, 2, 3])("node %i becomes flannel's again, with its subnet", { timeout: 180_000 }, async (i) => {
    const before = await subnets();
    const pod = lab.pod(i, 1);
    const other = lab.pod((i % 3) + 1, 1);
    const open = [await converse(other, pod, lab.directory), await converse(pod, other, lab.directory)];
    await follow("One node back to flanneld", i);
    await expectUnbroken(open);
    expect(await subnets()).toEqual(before);
    await expectAllTcp();
    expect(await rulesOf(lab.node(i))).not.toMatch(/twill|TWILL/);
  });

  test("in the end there is nothing of twill's in etcd either", async () => {
    const names = async (): Promise<string[]> =>
      (await lab.etcd.list(`${lab.prefix}/`)).map(({ key }) => key.slice(lab.prefix.length + 1));
    await until(async () => (await names()).every((name) => !name.startsWith("twill/")));
    expect((await names()).sort()).toEqual(["config", ...[10, 11, 12].map((n) => `subnets/10.244.${n}.0-24`)]);
    for (const { value } of await lab.etcd.list(`${lab.prefix}/subnets/`)) expect(value).not.toContain("NodeID");
  });
});

// docs/install.md, done: two machines with systemd, from nothing to pods that ping, and back to nothing. The commands are
// those of the document, run as they stand there, with this lab's addresses.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { capture, requireSuccess } from "../../pkg/lab/command.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { whyNot } from "./runtimes.ts";
import { copyTree, machineTree, packages } from "./shared.ts";
import { SystemdMachine } from "./systemd-machine.ts";

const MINUTES = 60_000;
const { version } = JSON.parse(readFileSync(join(TOP, "package.json"), "utf8")) as { version: string };
const DOCUMENT = readFileSync(join(TOP, "docs/install.md"), "utf8");
// Who may log in where is the machines' owner's business, and not the document's.
const KEYS = `mkdir -m 700 -p /root/.ssh
cd /root/.ssh
ssh-keygen -q -t ed25519 -N "" -f id_ed25519
cp id_ed25519.pub authorized_keys
echo "StrictHostKeyChecking no" >config`;

/** The shell of a person who goes on typing: where it is and what it has exported stays from one block to the next. */
const typed = (block: string): string => `
export HOME=/root DEBIAN_FRONTEND=noninteractive
cd
[ ! -e /run/typed ] || . /run/typed
set -e
${block}
{ declare -px | grep -v "^declare -[a-z]*r"; echo "cd $PWD"; } >/run/typed`;

const reason = whyNot("/usr/bin/systemd-nspawn", "/usr/bin/mmdebstrap");

describe.skipIf(reason)(`docs/install.md${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let directory: string;
  let lab: Lab;
  const machines = new Map<string, SystemdMachine>();

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "twill-install-"));
    const tree = join(directory, "tree");
    const [debian, built] = [await machineTree(), await packages()];
    await copyTree(debian, tree);
    const keys = ["chroot", tree, "sh", "-ec", KEYS];
    requireSuccess(keys, await capture(keys));
    const deb = `twill_${version}_amd64.deb`;
    copyFileSync(join(built, deb), join(tree, "root", deb));
    lab = await Lab.create();
    for (const name of ["vm1", "vm2"]) {
      const host = await lab.addPlainNode(name);
      mkdirSync(join(directory, name));
      machines.set(name, new SystemdMachine(host, { directory: join(directory, name), tree }));
    }
    await Promise.all([...machines.values()].map((each) => each.boot()));
    for (const each of machines.values()) await each.run(["systemctl", "start", "ssh"]);
  }, 20 * MINUTES);
  afterAll(async () => {
    await Promise.all([...machines.values()].map((each) => each.close()));
    await lab?.close();
    rmSync(directory, { recursive: true, force: true });
  }, MINUTES);

  const here = (text: string): string => {
    const [vm1 = "", vm2 = ""] = [...machines.values()].map((each) => each.host.address);
    return text.replaceAll("192.0.2.11", vm1).replaceAll("192.0.2.12", vm2);
  };

  test("every command does what is said, and pods ping", { timeout: 5 * MINUTES }, async () => {
    const blocks = [...DOCUMENT.matchAll(/^On (vm1|vm2|vm1 and vm2):\n\n```sh\n(.*?)```/gms)];
    expect(blocks.length).toBe([...DOCUMENT.matchAll(/^```sh/gm)].length);
    let said = "";
    for (const [, names = "", block = ""] of blocks) {
      for (const name of names.split(" and ")) {
        const output = await machines.get(name)?.run(["bash", "-c", typed(here(block))]);
        said += `${name}: ${output}\n`;
      }
    }
    expect(said).toContain("3 packets transmitted, 3 received, 0% packet loss");
    expect(said).toContain(`"PublicIP":"${machines.get("vm2")?.host.address}"`);
    for (const each of machines.values()) {
      expect(await each.run(["sh", "-c", "ip -br link | grep -c -e twill -e twgso -e cni0 || true"])).toBe("0");
      expect(await each.run(["nft", "list", "ruleset"])).toBe("");
    }
  });
});

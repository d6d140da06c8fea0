// What `npm run package` writes, and a clean Debian 12 without Node on which it is installed, run and purged.

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { capture, type CommandOptions, type Output, requireSuccess } from "../../pkg/lab/command.ts";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { notRoot, rootTitle } from "../netns/netns.ts";
import { until } from "../until.ts";
import { APT_ENV, buildPackages, copyTree, debianTree, enterTree, packages } from "./shared.ts";

const MINUTES = 60_000;
const { version, devDependencies } = JSON.parse(readFileSync(join(TOP, "package.json"), "utf8")) as {
  version: string;
  devDependencies: Record<string, string>;
};
const CONFLIST = "/etc/cni/net.d/10-twill.conflist";
const DEFAULTS = "/etc/default/twilld";
const run = async (argv: readonly string[], options?: CommandOptions): Promise<Output> =>
  requireSuccess(argv, await capture(argv, options));

describe.skipIf(notRoot)(rootTitle("the packages"), () => {
  let dir: string;
  let built: string;
  const file = (name: string): string => join(built, name);
  const deb = (arch: string): string => file(`twill_${version}_${arch}.deb`);
  const tree = (): string => join(dir, "tree");

  /** Runs a command in the clean Debian, whose /run stays from one to the next. */
  const enter = (argv: readonly string[]): string[] => enterTree(tree(), argv);
  const inTree = (argv: readonly string[]): Promise<Output> => run(enter(argv), { env: APT_ENV });
  const inside = (path: string): string => join(tree(), path);
  const isThere = (path: string): boolean => lstatSync(inside(path), { throwIfNoEntry: false }) !== undefined;

  /** Every file, directory and link of the tree but what apt and dpkg themselves keep. */
  const everything = (): string[] => {
    const theirs = ["./var/lib/apt", "./var/lib/dpkg", "./var/cache", "./var/log"];
    const prune = theirs.flatMap((path) => ["-path", path, "-prune", "-o"]);
    const found = execFileSync("find", [".", "-xdev", ...prune, "-print"], { cwd: tree(), encoding: "utf8" });
    return found.split("\n").toSorted();
  };

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "twill-package-"));
    const [out, debian] = await Promise.all([packages(), debianTree()]);
    built = out;
    await copyTree(debian, tree());
    mkdirSync(`${tree()}.run`);
    copyFileSync(deb("amd64"), inside("/root/twill.deb"));
  }, 20 * MINUTES);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test("the checksums are right", () => {
    const said = execFileSync("sha256sum", ["-c", "SHA256SUMS"], { cwd: built, encoding: "utf8" });
    expect(said.trim().split("\n")).toHaveLength(6);
  });

  // e_machine, ELF specification: 62 is x86-64, 183 is AArch64.
  for (const [arch, machine] of [
    ["amd64", 62],
    ["arm64", 183],
  ] as const) {
    test(`everything native in the ${arch} package is for ${arch}`, { timeout: MINUTES }, async () => {
      const at = join(dir, arch);
      await run(["dpkg-deb", "-x", deb(arch), at]);
      expect(
        execFileSync("dpkg-deb", ["-f", deb(arch), "Package", "Version", "Architecture"], { encoding: "utf8" }),
      ).toBe(`Package: twill\nVersion: ${version}\nArchitecture: ${arch}\n`);
      const native = readdirSync(at, { recursive: true, encoding: "utf8" })
        .filter((name) => /(koffi\.node|\.so|twill\/bin\/node)$/.test(name) && lstatSync(join(at, name)).isFile())
        .map((name) => `${name.split("/").at(-1)} ${readFileSync(join(at, name)).readUInt16LE(18)}`);
      expect(native.toSorted()).toEqual([`koffi.node ${machine}`, `node ${machine}`]);
      rmSync(at, { recursive: true });
    });

    test(`the SBOM of ${arch} tells of Node and the modules, and has no chance in it`, () => {
      const bom = JSON.parse(readFileSync(file(`twill_${version}_${arch}.cdx.json`), "utf8")) as {
        bomFormat: string;
        metadata: { component: { name: string; version: string } };
        components: { name: string; version: string }[];
      };
      expect(bom.bomFormat).toBe("CycloneDX");
      expect(bom.metadata.component).toMatchObject({ name: "twill", version });
      const names = bom.components.map((component) => component.name);
      expect(names).toEqual(expect.arrayContaining(["etcd3", "koffi", "pino", "node"]));
      expect(names).not.toContain("vitest");
      const node = bom.components.find((component) => component.name === "node");
      expect(devDependencies["node"]).toBe(`^${node?.version}`);
    });
  }

  test("the same sources give the same bytes", { timeout: 5 * MINUTES }, async () => {
    await buildPackages("--arch", "amd64", "--out", join(dir, "again"));
    const first = readFileSync(file("SHA256SUMS"), "utf8").split("\n");
    expect(readFileSync(join(dir, "again/SHA256SUMS"), "utf8").trim().split("\n")).toEqual(
      first.filter((line) => line.includes("amd64")),
    );
    rmSync(join(dir, "again"), { recursive: true });
  });

  test("the .tar.gz runs from wherever it lies", { timeout: MINUTES }, async () => {
    const at = join(dir, "unpacked");
    mkdirSync(at);
    await run(["tar", "-C", at, "-xzf", file(`twill-${version}-linux-amd64.tar.gz`)]);
    const bin = join(at, `twill-${version}-linux-amd64/bin`);
    const { stdout } = await run([join(bin, "twilld"), "--version"], { env: { PATH: "/usr/bin:/bin" } });
    expect(stdout).toBe(`twilld ${version}\n`);
    rmSync(at, { recursive: true });
  });

  describe("on a clean Debian", () => {
    let lab: Lab;
    let agent: Daemon | undefined;
    beforeAll(async () => {
      lab = await Lab.create({ nodes: 1 });
    }, 2 * MINUTES);
    afterAll(async () => {
      await agent?.stop();
      await lab?.close();
    });

    test("two commands lead from the .deb to a running agent", { timeout: 5 * MINUTES }, async () => {
      expect(isThere("/usr/bin/node")).toBe(false);
      // The first.
      await inTree(["apt-get", "install", "-y", "-q", "/root/twill.deb"]);
      const node = await lab.addNode();
      // The second, in the place of systemctl: a chroot has no systemd.
      const argv = ["twilld", `--etcd-endpoints=${lab.etcd.endpoint}`, `--etcd-prefix=${lab.prefix}`];
      agent = await node.netns.start(enter(argv), { name: "twilld of the package", log: join(dir, "twilld.log") });
      const ctl = (...args: readonly string[]): Promise<Output> =>
        node.netns.capture(enter(["twillctl", ...args]), { env: APT_ENV });
      await until(async () => {
        if (!agent?.running) throw new Error(`twilld ${agent?.describeEnding()}: ${agent?.tail(5).join("\n")}`);
        return (await ctl("status")).status === 0;
      });
      expect((await ctl("peers")).stdout).toContain("node1");
      await agent.stop();
    });

    test("it is enabled, attaches pods, and completes and explains its commands", { timeout: MINUTES }, async () => {
      for (const path of [
        "/etc/systemd/system/multi-user.target.wants/twilld.service",
        "/usr/lib/systemd/system/twilld.service",
        "/usr/lib/systemd/system/docker.service.d/twill.conf",
        "/usr/lib/systemd/system/containerd.service.d/twill.conf",
        "/usr/share/bash-completion/completions/twillctl",
        "/usr/share/man/man8/twilld.8.gz",
        "/usr/share/man/man8/twillctl.8.gz",
        "/usr/lib/cni/bridge",
      ]) {
        expect([path, isThere(path)]).toEqual([path, true]);
      }
      expect(readFileSync(inside(CONFLIST), "utf8")).toBe(
        readFileSync(join(TOP, "deploy/cni/10-twill.conflist"), "utf8"),
      );
      expect(statSync(inside(DEFAULTS)).mode & 0o777).toBe(0o600);
      const version = await inTree(["env", "CNI_COMMAND=VERSION", "/opt/cni/bin/twill"]);
      expect(JSON.parse(version.stdout)).toMatchObject({ supportedVersions: expect.arrayContaining(["1.0.0"]) });
      // The plugin and network that the package puts there are those of `twillctl install-cni`.
      expect((await inTree(["twillctl", "install-cni"])).stdout).toBe(
        `/opt/cni/bin/twill is there already.\n${CONFLIST} is there already.\n`,
      );
    });

    test("an installation again keeps what somebody has changed or removed", { timeout: 2 * MINUTES }, async () => {
      writeFileSync(inside(DEFAULTS), "TWILLD_IFACE=eth1\n");
      rmSync(inside(CONFLIST));
      await inTree(["apt-get", "install", "-y", "-q", "--reinstall", "/root/twill.deb"]);
      expect(readFileSync(inside(DEFAULTS), "utf8")).toBe("TWILLD_IFACE=eth1\n");
      expect(isThere(CONFLIST)).toBe(false);
    });

    test("a purge leaves nothing, and what was there before stays", { timeout: 4 * MINUTES }, async () => {
      await inTree(["apt-get", "purge", "-y", "-q", "twill"]);
      const before = everything();
      expect(before.filter((path) => /twill/.test(path) && path !== "./root/twill.deb")).toEqual([]);
      expect(isThere("/etc/cni")).toBe(false);

      mkdirSync(inside("/etc/cni/net.d"), { recursive: true });
      writeFileSync(inside(CONFLIST), "{}");
      await inTree(["apt-get", "install", "-y", "-q", "/root/twill.deb"]);
      expect(readFileSync(inside(CONFLIST), "utf8")).toBe("{}");
      await inTree(["apt-get", "purge", "-y", "-q", "twill"]);
      expect(readFileSync(inside(CONFLIST), "utf8")).toBe("{}");
      const known = new Set([...before, "./etc/cni", "./etc/cni/net.d", `.${CONFLIST}`]);
      expect(everything().filter((path) => !known.has(path))).toEqual([]);
      expect(existsSync(join(`${tree()}.run`, "twill"))).toBe(false);
    });
  });
});

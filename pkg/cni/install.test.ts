import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../base/errors.ts";
import { conflistText, STANDARD_PLUGINS } from "./conflist.ts";
import { type Install, type Installed, installCni } from "./install.ts";

let top: string;
let install: Install;
let link: string;
let conflist: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "install-cni-"));
  const plugin = join(top, "twill-cni");
  writeFileSync(plugin, "#!/bin/sh\n", { mode: 0o755 });
  install = { binDir: join(top, "opt/cni/bin"), confDir: join(top, "etc/cni/net.d"), plugin, force: false };
  link = join(install.binDir, "twill");
  conflist = join(install.confDir, "10-twill.conflist");
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function problems(more: Partial<Install> = {}): readonly string[] {
  try {
    installCni({ ...install, ...more });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error("nothing was refused");
}

function standardPlugins(): void {
  mkdirSync(install.binDir, { recursive: true });
  for (const name of STANDARD_PLUGINS) writeFileSync(join(install.binDir, name), "");
}

test("the file in deploy/ is the network that is installed", () => {
  expect(readFileSync("deploy/cni/10-twill.conflist", "utf8")).toBe(conflistText());
});

test("plugin and network are put where there is nothing yet, directories too", () => {
  const { written } = installCni(install);
  expect(written).toEqual([link, conflist]);
  expect(readlinkSync(link)).toBe(install.plugin);
  expect(readFileSync(conflist, "utf8")).toBe(conflistText());
  expect(statSync(conflist).mode & 0o777).toBe(0o644);
  expect(readdirSync(install.binDir)).toEqual(["twill"]);
});

test("a second time changes nothing", () => {
  standardPlugins();
  installCni(install);
  const before = lstatSync(conflist).ino;
  expect(installCni(install)).toEqual({ link, conflist, written: [], doubts: [] } satisfies Installed);
  expect(lstatSync(conflist).ino).toBe(before);
});

const obstacles: { name: string; put: () => void; in: () => string }[] = [
  { name: "another plugin", put: () => writeFileSync(link, "a program"), in: () => link },
  { name: "a link to another plugin", put: () => symlinkSync("/nowhere/twill", link), in: () => link },
  { name: "a network that somebody changed", put: () => writeFileSync(conflist, "{}"), in: () => conflist },
  { name: "a network that is a link to nowhere", put: () => symlinkSync("/nowhere/n", conflist), in: () => conflist },
];
for (const obstacle of obstacles) {
  test(`${obstacle.name} is left alone and nothing else written; --force replaces it`, () => {
    mkdirSync(install.binDir, { recursive: true });
    mkdirSync(install.confDir, { recursive: true });
    obstacle.put();
    const before = [readdirSync(install.binDir), readdirSync(install.confDir)];
    expect(problems()).toEqual([`${obstacle.in()} exists and is another one: --force replaces it`]);
    expect([readdirSync(install.binDir), readdirSync(install.confDir)]).toEqual(before);
    installCni({ ...install, force: true });
    expect(readlinkSync(link)).toBe(install.plugin);
    expect(lstatSync(conflist).isFile()).toBe(true);
    expect(readFileSync(conflist, "utf8")).toBe(conflistText());
  });
}

test("everything in the way is told at once", () => {
  mkdirSync(install.binDir, { recursive: true });
  mkdirSync(install.confDir, { recursive: true });
  writeFileSync(link, "");
  writeFileSync(conflist, "");
  expect(problems()).toHaveLength(2);
});

test("a plugin that cannot be run is one sentence", () => {
  const none = join(top, "none");
  expect(problems({ plugin: none })).toEqual([
    `the plugin ${none} cannot be run: there is no such file; name the program twill-cni by --plugin`,
  ]);
  expect(problems({ plugin: top })).toEqual([`the plugin ${top} is no file; name the program twill-cni by --plugin`]);
  chmodSync(install.plugin, 0o644);
  expect(problems()).toEqual([expect.stringMatching(/^the plugin .* cannot be run: EACCES/)]);
});

test("a directory that cannot be made is one sentence that names the file", () => {
  const [problem = "", ...more] = problems({ binDir: join(install.plugin, "bin") });
  expect(problem).toMatch(/^cannot write .*\/twill-cni\/bin\/twill: /);
  expect(more).toEqual([]);
});

test("missing standard plugins and a network that comes first are told", () => {
  standardPlugins();
  rmSync(join(install.binDir, "portmap"));
  mkdirSync(install.confDir, { recursive: true });
  for (const name of ["05-other.conf", "00-README", "87-podman.conflist"])
    writeFileSync(join(install.confDir, name), "{}");
  expect(installCni(install).doubts).toEqual([
    expect.stringMatching(/\/opt\/cni\/bin lacks the standard plugins portmap: /),
    expect.stringMatching(/05-other\.conf comes before 10-twill\.conflist: /),
  ]);
});

// What packages are given beside the programs (deploy/package), without building one.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { manPage } from "../deploy/package/man-page.ts";
import { VERSION } from "../pkg/base/version.ts";

const readManifest = (path: string): Record<string, Record<string, string> | string> =>
  JSON.parse(readFileSync(path, "utf8")) as Record<string, Record<string, string> | string>;

test("the version is package.json's, and the packages' Node is the one that everything is tested with", () => {
  const { version, devDependencies } = readManifest("package.json");
  expect(VERSION).toBe(version);
  const runtimes = Object.values(readManifest("deploy/package/runtime/package.json")["optionalDependencies"] ?? {});
  const { node } = devDependencies as Record<string, string>;
  expect(new Set(runtimes.map((runtime) => `^${runtime}`))).toEqual(new Set([node]));
});

test("every shell script of the package is one", () => {
  const scripts = ["package.sh", "debian/postinst", "debian/prerm", "debian/postrm"];
  for (const script of scripts) execFileSync("sh", ["-n", `deploy/package/${script}`]);
  expect(readdirSync("deploy/package/debian").length).toBe(5);
});

test("a manual page shows --help as it is", () => {
  const text = "prog --all\n.hidden\n'quoted\na\\b\n";
  const page = manPage({ name: "prog", is: "a program", text }, "1.2.3");
  expect(page.split("\n").slice(5, 9)).toEqual(["prog \\-\\-all", "\\&.hidden", "\\&'quoted", "a\\eb"]);
});

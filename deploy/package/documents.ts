// What a package is given beside the programs, written to standard output:
//   documents.ts manifest              package.json without what is for developers
//   documents.ts sbom TOP ARCH         the bill of materials of the npm modules in TOP, and Node
//   documents.ts man NAME              the manual page of twilld or twillctl

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { helpText as twillctlHelp } from "../../cmd/twillctl/help.ts";
import { helpText as twilldHelp } from "../../pkg/agent/help.ts";
import { manPage, type Page } from "./man-page.ts";

const TOP = join(import.meta.dirname, "../..");

const PAGES: Readonly<Record<string, () => Page>> = {
  twilld: () => ({ name: "twilld", is: "the twill overlay network agent", text: twilldHelp() }),
  twillctl: () => ({ name: "twillctl", is: "ask the twill agent of this host", text: twillctlHelp() }),
};

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Component {
  readonly [field: string]: unknown;
}

interface Bom {
  readonly metadata: { readonly component: Component } & Component;
  readonly components: readonly Component[];
  readonly dependencies: readonly Component[];
}

const readJson = (...path: readonly string[]): unknown => JSON.parse(readFileSync(join(...path), "utf8"));
const readManifest = (): Manifest => readJson(TOP, "package.json") as Manifest;

function manifest(): string {
  const { name, version, description, dependencies } = readManifest();
  return JSON.stringify({ name, version, description, private: true, type: "module", dependencies }, undefined, 2);
}

// npm's bill with a random number, the time of day and a directory's name taken out, so that it is the same each time.
function sbom(top: string, arch: string): string {
  const args = ["sbom", "--sbom-format=cyclonedx", "--sbom-type=application", "--omit=dev"];
  const bom = JSON.parse(
    execFileSync("npm", args, { cwd: top, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  ) as Bom;
  const { version } = readManifest();
  const runtime = readJson(TOP, "deploy/package/runtime/package.json") as {
    optionalDependencies: Record<string, string>;
  };
  const [name = "", nodeVersion = ""] =
    Object.entries(runtime.optionalDependencies).find(([name]) => name.endsWith(arch === "amd64" ? "x64" : arch)) ?? [];
  const node = {
    "bom-ref": `${name}@${nodeVersion}`,
    type: "platform",
    name: "node",
    version: nodeVersion,
    purl: `pkg:npm/${name}@${nodeVersion}`,
    licenses: [{ license: { id: "MIT" } }],
  };
  const seconds = Number(process.env["SOURCE_DATE_EPOCH"]);
  const whole = {
    ...bom,
    metadata: {
      ...bom.metadata,
      timestamp: new Date(seconds * 1000).toISOString(),
      component: { ...bom.metadata.component, name: "twill", version },
    },
    components: [...bom.components, node],
  };
  const hash = createHash("sha256")
    .update(JSON.stringify({ ...whole, serialNumber: "" }))
    .digest("hex");
  // RFC 9562 section 5.8: a UUID of version 8 is anything with the version and variant set.
  const uuid = hash.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-8$3-8$4-$5");
  return JSON.stringify({ ...whole, serialNumber: `urn:uuid:${uuid}` }, undefined, 2);
}

function document(): string {
  const [kind = "", name = "", arch = ""] = process.argv.slice(2);
  if (kind === "manifest") return manifest();
  if (kind === "sbom") return sbom(name, arch);
  const page = PAGES[name];
  if (kind === "man" && page) return manPage(page(), readManifest().version);
  throw new Error("usage: documents.ts manifest, sbom TOP ARCH, or man twilld|twillctl");
}

process.stdout.write(`${document().trimEnd()}\n`);

// Higher layers import lower ones, never the other way round or sideways. ARCHITECTURE.md has the picture.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const LAYERS = [
  ["base", "addr"],
  ["packet", "sys"],
  ["tun", "underlay", "host", "etcd"],
  ["lease"],
  ["subnet", "dataplane", "traffic", "subnetenv", "cni", "api"],
  ["agent", "lab", "diagnosis", "probe", "metrics"],
  ["ui"],
];
const layerOf = new Map(LAYERS.flatMap((names, layer) => names.map((name) => [name, layer] as const)));

interface Import {
  readonly file: string;
  readonly spec: string;
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file));
}

// Type-only imports count: a package that names another's types cannot be understood without it.
function imports(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const found = text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return [...found].map((match) => ({ file, spec: match[1] ?? "" }));
}

const isTest = (file: string): boolean => file.endsWith(".test.ts");

/** The package below pkg/ that an import reaches, undefined for anything else. */
function packageOf(each: Import): string | undefined {
  if (!each.spec.startsWith(".")) return undefined;
  const [top, name] = relative(".", join(dirname(each.file), each.spec)).split("/");
  return top === "pkg" ? name : undefined;
}

test("every package has its layer", () => {
  const packages = readdirSync("pkg", { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(packages.map((entry) => entry.name).toSorted()).toEqual([...layerOf.keys()].toSorted());
});

test("pkg imports point down", () => {
  const wrong: string[] = [];
  for (const each of sources("pkg")
    .filter((file) => !isTest(file))
    .flatMap(imports)) {
    const from = each.file.split("/")[1] ?? "";
    const to = packageOf(each);
    if (each.spec.startsWith(".") && to === undefined && !each.spec.includes("/proto/gen/")) {
      wrong.push(`${each.file} reaches out of pkg: ${each.spec}`);
    }
    if (to === undefined || to === from) continue;
    if (!((layerOf.get(to) ?? Number.POSITIVE_INFINITY) < (layerOf.get(from) ?? -1))) {
      wrong.push(`${each.file} imports ${to}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("only cmd, agent, api and lab touch the process", () => {
  const allowed = new Set(["agent", "api", "lab"]);
  const wrong = sources("pkg")
    .filter((file) => !isTest(file) && !allowed.has(file.split("/")[1] ?? ""))
    // The binding that runs programs is to be had from the process alone.
    .filter((file) => file !== "pkg/cni/run-program.ts")
    .filter((file) => /\bprocess(\.| as )|from "node:process"/.test(withoutComments(readFileSync(file, "utf8"))));
  expect(wrong).toEqual([]);
});

test("time and chance come in through base", () => {
  const wrong = sources("pkg")
    .filter((file) => !isTest(file) && !file.startsWith("pkg/base/") && !file.startsWith("pkg/lab/"))
    .filter((file) =>
      /\bDate\.now\(|new Date\(\)|\bMath\.random\b|\bset(Timeout|Interval)\(/.test(
        withoutComments(readFileSync(file, "utf8")),
      ),
    );
  expect(wrong).toEqual([]);
});

test("native code is loaded by sys alone, etcd3 by etcd alone", () => {
  const wrong = sources("pkg")
    .filter((file) => !isTest(file))
    .flatMap(imports)
    .filter(
      ({ file, spec }) =>
        (spec === "koffi" && !file.startsWith("pkg/sys/")) ||
        ((spec === "etcd3" || spec === "cockatiel") && !file.startsWith("pkg/etcd/")),
    );
  expect(wrong).toEqual([]);
});

test("twill-cni loads nothing but Node's own modules", () => {
  const seen = new Set<string>();
  const outside: string[] = [];
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { spec } of imports(file)) {
      if (spec.startsWith(".")) visit(join(dirname(file), spec));
      else if (!spec.startsWith("node:")) outside.push(`${file} imports ${spec}`);
    }
  };
  visit("cmd/twill-cni/main.ts");
  expect(outside).toEqual([]);
});

test("no source file grows beyond one noun", () => {
  const long = [...sources("pkg"), ...sources("cmd")]
    .filter((file) => !isTest(file))
    .map((file) => ({ file, lines: readFileSync(file, "utf8").split("\n").length }))
    .filter(({ lines }) => lines > 500);
  expect(long).toEqual([]);
});

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, "");
}

import { basename, join } from "node:path";
import { buildSync } from "esbuild";
import { writeFileAtomic } from "../../pkg/base/atomic-file.ts";
import { TOP } from "./netns.ts";

const built = new Map<string, string>();

/**
 * A program of the tests as JavaScript, in dist/test. Node needs as long again to strip a program's types as it needs to
 * start, and some tests start hundreds of them.
 */
export function compiled(source: string): string {
  const known = built.get(source);
  if (known !== undefined) return known;
  const path = join(TOP, "dist/test", `${basename(source, ".ts")}.js`);
  const { outputFiles } = buildSync({
    entryPoints: [source],
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    outfile: path,
    write: false,
  });
  // Whole at any time: another worker may be starting it.
  writeFileAtomic(path, outputFiles[0]?.text ?? "", { mode: 0o644, dirMode: 0o755 });
  built.set(source, path);
  return path;
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = join(import.meta.dirname, "page");

async function bundle(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, file)],
    bundle: true,
    minify: true,
    write: false,
    target: "es2022",
    format: "iife",
    charset: "utf8",
    logLevel: "warning",
  });
  return outputFiles[0]?.text.trim() ?? "";
}

/**
 * The page as one file. Its script and its style stand in it, so that it asks for nothing else and a browser may be told to
 * run nothing else.
 */
export async function buildPage(): Promise<string> {
  const [html, style, script] = await Promise.all([
    readFile(join(HERE, "page.html"), "utf8"),
    bundle("style.css"),
    bundle("main.ts"),
  ]);
  if (/<\/(script|style)/i.test(style + script)) throw new Error("script or style would end before its end");
  return html
    .replaceAll(/\n\s*/g, "\n")
    .replace("<style></style>", () => `<style>${style}</style>`)
    .replace("<script></script>", () => `<script>${script}</script>`);
}

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** The page, and the policy under which a browser runs nothing but what stands in it. */
export interface Page {
  readonly html: string;
  /** Value of Content-Security-Policy. */
  readonly policy: string;
}

/** Reads the page that `npm run build` makes. Throws where it is not there. */
export function readPage(file: string): Page {
  const html = readFileSync(file, "utf8");
  return { html, policy: policyOf(html) };
}

/** Content-Security-Policy, level 3: with trusted types no text can become markup, whatever it holds. */
export function policyOf(html: string): string {
  const hashes = (element: string): string =>
    [...html.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, "g"))]
      .map(([, text = ""]) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`)
      .join(" ");
  return [
    "default-src 'none'",
    `script-src ${hashes("script")}`,
    `style-src ${hashes("style")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

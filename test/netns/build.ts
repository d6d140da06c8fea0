// Vitest's global set-up of what runs programs: dist is built from the sources as they are, once, before the first file.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

export default function build(): void {
  execFileSync("npm", ["run", "build"], {
    cwd: join(import.meta.dirname, "../.."),
    stdio: ["ignore", "ignore", "inherit"],
  });
}

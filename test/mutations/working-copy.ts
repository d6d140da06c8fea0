import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { applyEdit, type Edit } from "./mutation.ts";

/** A copy of the checkout in a directory of its own, so that what an edit breaks is never the checkout. */
export class WorkingCopy implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "twill-mutations-"));

  /** Copies what git would: also what is not committed yet, and nothing that it ignores. */
  constructor(top: string) {
    // Some tests run its programs as nobody.
    chmodSync(this.directory, 0o755);
    const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: top });
    const gone = execFileSync("git", ["ls-files", "-z", "--deleted"], { cwd: top });
    const deleted = new Set(gone.toString().split("\0"));
    for (const file of listed.toString().split("\0")) {
      if (file === "" || deleted.has(file)) continue;
      mkdirSync(join(this.directory, dirname(file)), { recursive: true });
      cpSync(join(top, file), join(this.directory, file));
    }
    symlinkSync(join(top, "node_modules"), join(this.directory, "node_modules"));
    // Also where it is interrupted.
    process.once("exit", () => this[Symbol.dispose]());
  }

  /** Makes the edits. Returns what takes them back. Throws an Error, with nothing changed, for one that does not fit. */
  apply(edits: readonly Edit[]): () => void {
    const before = new Map<string, string>();
    const after = new Map<string, string>();
    for (const edit of edits) {
      const text = after.get(edit.file) ?? readFileSync(join(this.directory, edit.file), "utf8");
      if (!before.has(edit.file)) before.set(edit.file, text);
      after.set(edit.file, applyEdit(text, edit));
    }
    const write = (texts: ReadonlyMap<string, string>): void => {
      for (const [file, text] of texts) writeFileSync(join(this.directory, file), text);
    };
    write(after);
    return () => write(before);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

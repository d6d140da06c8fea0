import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The image's names. containerd's CRI takes the second for the process that keeps a pod's namespaces. */
export const IMAGE = "localhost/twill-test:1";
export const PAUSE_IMAGE = "registry.k8s.io/pause:3.6";

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * Makes an image of busybox alone, whose command sleeps, and returns its file: an archive as `docker save` writes it
 * (Docker image specification 1.2), which every runtime loads.
 */
export function makeImage(directory: string): string {
  const root = join(directory, "root");
  for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp", "www"])
    mkdirSync(join(root, name), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const applet of execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).trim().split("\n")) {
    if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
  }
  execFileSync("tar", ["-C", root, "-cf", join(directory, "layer.tar"), "."]);
  rmSync(root, { recursive: true });
  const layer = createHash("sha256")
    .update(readFileSync(join(directory, "layer.tar")))
    .digest("hex");
  const config = {
    architecture: ARCHITECTURES[process.arch],
    os: "linux",
    config: { Cmd: ["sleep", "infinity"], Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
  };
  const manifest = [{ Config: "config.json", RepoTags: [IMAGE, PAUSE_IMAGE], Layers: ["layer.tar"] }];
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  writeFileSync(join(directory, "manifest.json"), JSON.stringify(manifest));
  const archive = join(directory, "image.tar");
  execFileSync("tar", ["-C", directory, "-cf", archive, "manifest.json", "config.json", "layer.tar"]);
  return archive;
}

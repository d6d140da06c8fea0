import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { capture, type CommandOptions, type Output, requireSuccess } from "../../pkg/lab/command.ts";
import { Daemon } from "../../pkg/lab/daemon.ts";
import { DIE_WITH_PARENT } from "../../pkg/lab/netns.ts";
import { until } from "../until.ts";
import { debianTree } from "./shared.ts";

const DOCKER = "/usr/bin/docker";
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const BUILD_MS = 300_000;

/** What stands in for the images that a machine without a registry cannot pull. */
export const NODE_IMAGE = "twill-test/node:24-bookworm-slim";
export const ETCD_IMAGE = "twill-test/etcd:debian";

// npm is the machine's, in any version that has `npm ci`; the CA bundle is the machine's too, for a network with its own.
const NODE_DOCKERFILE = `FROM twill-test/debian:bookworm
RUN apt-get install -y -q --no-install-recommends ca-certificates libstdc++6
COPY node /usr/local/bin/node
ADD npm.tar /usr/local/lib/node_modules/
COPY ca-certificates.crt ${CERTIFICATES}
ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
`;
const ETCD_DOCKERFILE = `FROM twill-test/debian:bookworm
COPY etcd etcdctl /usr/local/bin/
`;

/** A Docker engine of our own: its data, its socket and its containers are in one directory, and go with it. */
export class DockerEngine {
  readonly directory: string;
  readonly #daemon: Daemon;

  private constructor(directory: string, daemon: Daemon) {
    this.directory = directory;
    this.#daemon = daemon;
  }

  /** Starts it without touching the machine's firewall or sysctls. */
  static async start(): Promise<DockerEngine> {
    const directory = mkdtempSync(join(tmpdir(), "twill-docker-"));
    const at = (name: string): string => join(directory, name);
    const daemon = await Daemon.start(
      [
        ...DIE_WITH_PARENT,
        "dockerd",
        `--data-root=${at("data")}`,
        `--exec-root=${at("run")}`,
        `--pidfile=${at("pid")}`,
        `--host=unix://${at("docker.sock")}`,
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--bridge=none",
      ],
      { name: "dockerd", log: at("dockerd.log") },
    );
    const engine = new DockerEngine(directory, daemon);
    await until(async () => {
      if (!daemon.running) throw new Error(`dockerd ${daemon.describeEnding()}: ${daemon.tail(3).join("; ")}`);
      return (await capture([DOCKER, "info"], engine.#with())).status === 0;
    });
    return engine;
  }

  /** Makes NODE_IMAGE and ETCD_IMAGE out of Debian's packages and this machine's Node. */
  async makeBaseImages(): Promise<void> {
    const build = join(this.directory, "build");
    const tar = join(this.directory, "debian.tar");
    await this.run(["tar", "-C", await debianTree(), "--numeric-owner", "--exclude=./dev/*", "-cf", tar, "."]);
    await this.docker(["import", tar, "twill-test/debian:bookworm"]);
    mkdirSync(build);
    copyFileSync(process.execPath, join(build, "node"));
    copyFileSync(CERTIFICATES, join(build, "ca-certificates.crt"));
    for (const program of ["etcd", "etcdctl"]) copyFileSync(`/usr/bin/${program}`, join(build, program));
    const npm = dirname(dirname(realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim())));
    await this.run(["tar", "-C", dirname(npm), "-cf", join(build, "npm.tar"), "npm"]);
    for (const [image, text] of [
      [NODE_IMAGE, NODE_DOCKERFILE],
      [ETCD_IMAGE, ETCD_DOCKERFILE],
    ] as const) {
      writeFileSync(join(build, "Dockerfile"), text);
      await this.docker(["build", "-q", "--network", "host", "-t", image, build]);
    }
  }

  /** Runs docker with these arguments. Resolves to what it printed; throws a CommandError unless its status is 0. */
  async docker(args: readonly string[]): Promise<string> {
    return (await this.run([DOCKER, ...args])).trim();
  }

  /** The same for any command that talks to this engine. */
  async run(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    return requireSuccess(argv, await this.capture(argv, options)).stdout;
  }

  /** The same, whatever its status. */
  capture(argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
    return capture(argv, { timeout: BUILD_MS, ...this.#with(options) });
  }

  /** Ends it with its containers and removes all it had. */
  async close(): Promise<void> {
    const { stdout } = await this.capture([DOCKER, "ps", "-aq"]);
    const ids = stdout.split("\n").filter((id) => id !== "");
    if (ids.length > 0) await this.capture([DOCKER, "rm", "-f", ...ids]);
    await this.#daemon.stop(20_000);
    await this.capture(["umount", join(this.directory, "run/netns/default")]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #with({ env = {}, ...options }: CommandOptions = {}): CommandOptions {
    const socket = `unix://${join(this.directory, "docker.sock")}`;
    // The old builder: a Debian 12 has no other.
    return { ...options, env: { DOCKER_HOST: socket, DOCKER_BUILDKIT: "0", ...env } };
  }
}

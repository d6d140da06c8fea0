import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { ConfigError, describeError, errorCode } from "../base/errors.ts";
import { CONFLIST, CONFLIST_NAME, conflistText, STANDARD_PLUGINS } from "./conflist.ts";

export interface Install {
  /** Where container runtimes look for plugins. */
  readonly binDir: string;
  /** Where they look for networks. */
  readonly confDir: string;
  /** The program twill-cni. */
  readonly plugin: string;
  /** Whether another plugin or network of our name is replaced. */
  readonly force: boolean;
}

export interface Installed {
  /** The plugin: a link to the program. */
  readonly link: string;
  readonly conflist: string;
  /** Which of the two were written; the others were there already. */
  readonly written: readonly string[];
  /** Why pods may not get their network all the same, a sentence each. */
  readonly doubts: readonly string[];
}

// CNI's own library takes these names for networks (libcni, ConfFiles).
const NETWORK_FILE = /\.(conf|conflist|json)$/;

/**
 * Makes the plugin and the network known to the host's container runtimes. What is there already and the same stays as
 * it is. Throws a ConfigError with a sentence for every problem, and has changed nothing where something else is in the
 * way.
 */
export function installCni({ binDir, confDir, plugin, force }: Install): Installed {
  const target = resolve(plugin);
  // The type in the network is the plugin's file name.
  const link = join(binDir, CONFLIST.plugins[0].type);
  const conflist = join(confDir, CONFLIST_NAME);
  requireProgram(target);
  const places = [
    {
      path: link,
      state: stateOf(link, () => readlinkSync(link) === target),
      write: () => replaceLink(link, target),
    },
    {
      path: conflist,
      state: stateOf(conflist, () => readFileSync(conflist, "utf8") === conflistText()),
      write: () => writeFileAtomic(conflist, conflistText(), { mode: 0o644, dirMode: 0o755 }),
    },
  ];
  const foreign = places.filter(({ state }) => state === "foreign");
  if (foreign.length > 0 && !force) {
    throw new ConfigError(foreign.map(({ path }) => `${path} exists and is another one: --force replaces it`));
  }
  const written = places.filter(({ state }) => state !== "ours");
  for (const { path, write } of written) writeOr(path, write);
  return {
    link,
    conflist,
    written: written.map(({ path }) => path),
    doubts: [...missingPlugins(binDir), ...otherNetworkFirst(confDir)],
  };
}

function requireProgram(path: string): void {
  try {
    accessSync(path, constants.X_OK);
    if (statSync(path).isFile()) return;
  } catch (cause) {
    const reason = errorCode(cause) === "ENOENT" ? "there is no such file" : describeError(cause);
    throw new ConfigError([`the plugin ${path} cannot be run: ${reason}; name the program twill-cni by --plugin`], {
      cause,
    });
  }
  throw new ConfigError([`the plugin ${path} is no file; name the program twill-cni by --plugin`]);
}

function stateOf(path: string, isOurs: () => boolean): "missing" | "ours" | "foreign" {
  try {
    lstatSync(path);
  } catch {
    return "missing"; // also where we may not look: writing tells why
  }
  try {
    return isOurs() ? "ours" : "foreign";
  } catch {
    return "foreign"; // whatever cannot be read as what we would write is something else
  }
}

function replaceLink(link: string, target: string): void {
  mkdirSync(join(link, ".."), { recursive: true, mode: 0o755 });
  const next = `${link}.new`;
  rmSync(next, { force: true });
  symlinkSync(target, next);
  try {
    renameSync(next, link);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}

function writeOr(path: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    const denied = errorCode(cause) === "EACCES" || errorCode(cause) === "EPERM";
    throw new ConfigError(
      [denied ? `cannot write ${path}: run this as root` : `cannot write ${path}: ${describeError(cause)}`],
      { cause },
    );
  }
}

function missingPlugins(binDir: string): string[] {
  const there = new Set(readdirSync(binDir));
  const missing = STANDARD_PLUGINS.filter((name) => !there.has(name));
  if (missing.length === 0) return [];
  return [
    `${binDir} lacks the standard plugins ${missing.join(", ")}: install them there, or give the runtime their ` +
      "directory too (Debian's package containernetworking-plugins has it at /usr/lib/cni)",
  ];
}

function otherNetworkFirst(confDir: string): string[] {
  const [first] = readdirSync(confDir)
    .filter((name) => NETWORK_FILE.test(name))
    .toSorted();
  if (first === undefined || first === CONFLIST_NAME) return [];
  return [`${join(confDir, first)} comes before ${CONFLIST_NAME}: runtimes that use one network take that one`];
}

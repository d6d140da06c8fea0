import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import type { Call, Verb } from "./call.ts";
import { CODE, CniError } from "./error.ts";
import { canonicalJson, isObject, isString, type JsonObject } from "./json.ts";
import type { AttachmentId } from "./netconf.ts";
import { convertResult } from "./result.ts";
import { type Ending, runProgram } from "./run-program.ts";
import { chooseVersion, NEWEST_VERSION, SUPPORTED_VERSIONS } from "./version.ts";

/** Whom a delegate is called for. GC and STATUS are about no container. */
export interface Target extends AttachmentId {
  readonly netns: string;
}

const NOBODY: Target = { containerId: "", ifname: "", netns: "" };

/** A plugin that does the work for us. */
export class Delegate {
  readonly type: string;
  readonly #binary: string;
  readonly #call: Call;
  #versions: readonly string[] | undefined;

  private constructor(type: string, binary: string, call: Call) {
    this.type = type;
    this.#binary = binary;
    this.#call = call;
  }

  /** Throws a CniError: 101 when the plugin is not in CNI_PATH. */
  static open(type: string, call: Call): Delegate {
    return new Delegate(type, findPlugin(type, call.path), call);
  }

  /** Whether the plugin knows this version of the specification, and so its verbs. Throws when it does not tell. */
  supports(version: string): boolean {
    return this.#supported().includes(version);
  }

  /**
   * Runs one verb with `conf` at the netconf's version, or at one that the plugin knows; `prevResult` is converted to
   * it. Returns what the plugin printed. Throws the plugin's own error as a CniError, or 1 where no version fits.
   */
  run(verb: Verb, conf: JsonObject, target: Target = NOBODY, prevResult?: JsonObject): string {
    const wanted = isString(conf["cniVersion"]) ? conf["cniVersion"] : "";
    const at = (version: string): string => {
      const stdin = canonicalJson({
        ...conf,
        ...(version !== "" && { cniVersion: version }),
        ...(prevResult && { prevResult: convertResult(prevResult, version) }),
      });
      return execute(this.type, this.#binary, this.#call, verb, target, stdin);
    };
    try {
      return at(wanted);
    } catch (error) {
      // A plugin refuses a version with this code before it does anything (specification, section 5). To ask first would
      // cost every pod the start of a process.
      if (!(error instanceof CniError && error.code === CODE.incompatibleVersion)) throw error;
      const version = chooseVersion(wanted, this.#supported());
      if (version === wanted) throw error;
      if (version !== undefined) return at(version);
      const theirs = this.#supported().join(", ") || "no version at all";
      const ours = SUPPORTED_VERSIONS.join(", ");
      throw new CniError(
        CODE.incompatibleVersion,
        `the CNI plugin "${this.type}" (${this.#binary}) supports ${theirs}; twill-cni supports ${ours}`,
        { cause: error },
      );
    }
  }

  /** As `run`, for ADD: the result as JSON. */
  add(conf: JsonObject, target: Target, prevResult?: JsonObject): JsonObject {
    return decodeAnswer(this.type, this.run("ADD", conf, target, prevResult));
  }

  #supported(): readonly string[] {
    if (!this.#versions) {
      const question = canonicalJson({ cniVersion: NEWEST_VERSION });
      const text = execute(this.type, this.#binary, this.#call, "VERSION", NOBODY, question);
      const versions: unknown = decodeAnswer(this.type, text)["supportedVersions"];
      this.#versions = Array.isArray(versions) ? versions.filter(isString) : [];
    }
    return this.#versions;
  }
}

function findPlugin(type: string, path: readonly string[]): string {
  for (const dir of path) {
    const binary = join(dir, type);
    try {
      accessSync(binary, constants.X_OK);
      if (statSync(binary).isFile()) return binary;
    } catch {
      continue; // not in this directory; what is nowhere is told below
    }
  }
  throw new CniError(
    CODE.delegateMissing,
    `cannot find the CNI plugin "${type}" in CNI_PATH (${path.join(":")}); install it there: "apt install containernetworking-plugins" puts the standard ones into /usr/lib/cni, which must then be one of the runtime's plugin directories`,
  );
}

function execute(type: string, binary: string, call: Call, verb: Verb, target: Target, stdin: string): string {
  const env = {
    ...call.env,
    CNI_COMMAND: verb,
    CNI_CONTAINERID: target.containerId,
    CNI_NETNS: target.netns,
    CNI_IFNAME: target.ifname,
  };
  let ending: Ending;
  try {
    ending = runProgram(binary, [], env, stdin);
  } catch (cause) {
    throw new CniError(CODE.io, `cannot run the CNI plugin ${binary}`, { cause });
  }
  const { status, signal, stdout, stderr } = ending;
  if (status === 0) return stdout;
  throw failure(type, verb, status === null ? `signal ${signal}` : `exit status ${status}`, stdout, stderr);
}

function failure(type: string, verb: Verb, how: string, stdout: string, stderr: string): CniError {
  try {
    const said: unknown = JSON.parse(stdout);
    if (isObject(said) && typeof said["code"] === "number" && isString(said["msg"])) {
      return new CniError(said["code"], said["msg"], {
        details: isString(said["details"]) ? said["details"] : undefined,
      });
    }
  } catch {
    // not a CNI error; what it printed is quoted below
  }
  const output = [stderr, stdout].map((text) => text.trim()).find((text) => text !== "") ?? "it printed nothing";
  return new CniError(CODE.delegateFailed, `${verb} by the CNI plugin "${type}" ended with ${how}: ${output}`);
}

function decodeAnswer(type: string, text: string): JsonObject {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CniError(CODE.decode, `the CNI plugin "${type}" answered with something else than JSON`, {
      cause: error,
    });
  }
  if (!isObject(json))
    throw new CniError(CODE.decode, `the CNI plugin "${type}" answered with something else than an object`);
  return json;
}

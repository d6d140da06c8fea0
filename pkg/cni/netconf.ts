import { describeError } from "../base/errors.ts";
import { isContainerId, isIfname } from "./call.ts";
import { CODE, CniError } from "./error.ts";
import { isObject, isString, type JsonObject } from "./json.ts";
import { isSupported, SUPPORTED_VERSIONS } from "./version.ts";

/** Names an attachment: one interface of one container. */
export interface AttachmentId {
  readonly containerId: string;
  readonly ifname: string;
}

/** Our part of a CNI network configuration, every default filled in. flannel's netconf is one, but for the type. */
export interface NetConf {
  readonly name: string;
  /** As given; "" where the netconf has none. */
  readonly cniVersion: string;
  readonly subnetFile: string;
  /** Where we remember what we delegated. */
  readonly dataDir: string;
  /** Where the agent says how it is. */
  readonly runDir: string;
  readonly delegate: JsonObject;
  readonly ipam: JsonObject;
  readonly runtimeConfig: JsonObject | undefined;
  readonly prevResult: JsonObject | undefined;
  /** For GC: everything else may go. Undefined where the netconf does not say. */
  readonly validAttachments: readonly AttachmentId[] | undefined;
}

const DEFAULTS = {
  subnetFile: "/run/flannel/subnet.env",
  dataDir: "/var/lib/cni/twill",
  runDir: "/run/twill",
} as const;

// CNI specification 1.1.0, section 1. IPAM plugins use the name as a directory.
const NETWORK_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/**
 * Reads a netconf. Keys that we do not know are left to others. Throws a CniError: 6 when the text is not a JSON object,
 * 1 when its version is not ours, 7 with every problem when a value is wrong.
 */
export function parseNetConf(text: string): NetConf {
  const json = decode(text);
  const cniVersion = json["cniVersion"] ?? "";
  if (!isString(cniVersion) || !isSupported(cniVersion)) {
    const known = SUPPORTED_VERSIONS.join(", ");
    const asked = JSON.stringify(cniVersion);
    throw new CniError(CODE.incompatibleVersion, `the netconf has cniVersion ${asked}; twill-cni supports ${known}`);
  }
  const fields = new Fields(json);
  const conf: NetConf = {
    name: fields.name(),
    cniVersion,
    subnetFile: fields.path("subnetFile"),
    dataDir: fields.path("dataDir"),
    runDir: fields.path("runDir"),
    delegate: fields.object("delegate") ?? {},
    ipam: fields.object("ipam") ?? {},
    runtimeConfig: fields.object("runtimeConfig"),
    prevResult: fields.object("prevResult"),
    validAttachments: fields.attachments("cni.dev/valid-attachments"),
  };
  if (fields.problems.length > 0) throw new CniError(CODE.badConfig, fields.problems.join("; "));
  return conf;
}

/** The version that an answer must carry; the text need not be a good netconf. */
export function versionOf(text: string): string | undefined {
  try {
    const version = decode(text)["cniVersion"];
    return isString(version) && version !== "" && isSupported(version) ? version : undefined;
  } catch {
    return undefined; // whoever needs more of the text says what is wrong with it
  }
}

function decode(text: string): JsonObject {
  if (text.trim() === "") {
    throw new CniError(CODE.decode, "standard input is empty; a network configuration in JSON was expected there");
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CniError(CODE.decode, `the netconf on standard input is not JSON: ${describeError(error)}`);
  }
  if (!isObject(json)) throw new CniError(CODE.decode, "the netconf on standard input is not a JSON object");
  return json;
}

// Reads values and gathers what is wrong with them. As in Go's decoder, null is the same as absent, but for a list.
class Fields {
  readonly problems: string[] = [];
  readonly #json: JsonObject;

  constructor(json: JsonObject) {
    this.#json = json;
  }

  name(): string {
    const name = this.#json["name"] ?? "";
    if (name === "") this.problems.push('the netconf has no "name"; give the network one');
    else if (!isString(name) || !NETWORK_NAME.test(name)) {
      const rule = "it may hold letters, digits and _.- and starts with a letter or digit";
      this.problems.push(`the netconf's "name" is ${JSON.stringify(name)}; ${rule}`);
    }
    return isString(name) ? name : "";
  }

  path(key: keyof typeof DEFAULTS): string {
    const value = this.#json[key] ?? "";
    if (!isString(value)) this.#wrong(key, "a path");
    if (value === "" || !isString(value)) return DEFAULTS[key];
    // The runtime's working directory is nobody's choice.
    if (!value.startsWith("/") || value.includes("\0")) this.#wrong(key, "an absolute path");
    return value;
  }

  object(key: string): JsonObject | undefined {
    const value = this.#json[key] ?? undefined;
    if (value === undefined || isObject(value)) return value;
    this.#wrong(key, "an object");
    return undefined;
  }

  attachments(key: string): readonly AttachmentId[] | undefined {
    const value = this.#json[key];
    if (value === undefined) return undefined;
    const ids: AttachmentId[] = [];
    // libcni's GCNetworkList writes a list without elements, which is nil in Go, as null.
    for (const item of Array.isArray(value) ? value : value === null ? [] : [value]) {
      const { containerID: containerId, ifname } = isObject(item) ? item : {};
      if (isString(containerId) && isContainerId(containerId) && isString(ifname) && isIfname(ifname)) {
        ids.push({ containerId, ifname });
      } else {
        this.#wrong(key, "a list of {containerID, ifname}");
        return undefined;
      }
    }
    return ids;
  }

  #wrong(key: string, what: string): void {
    this.problems.push(`the netconf's "${key}" is ${JSON.stringify(this.#json[key])}, not ${what}`);
  }
}

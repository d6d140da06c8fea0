import { CODE, CniError } from "./error.ts";

export const VERBS = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"] as const;
export type Verb = (typeof VERBS)[number];

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the runtime asks for, from the environment. A value that the verb does not use may be "". */
export interface Call {
  readonly verb: Verb;
  readonly containerId: string;
  /** Path of the container's network namespace. Empty in a DEL after the namespace has gone. */
  readonly netns: string;
  readonly ifname: string;
  /** Directories in which plugins lie. */
  readonly path: readonly string[];
  /** Everything, for the delegate. */
  readonly env: Environment;
}

type Variable = "CNI_CONTAINERID" | "CNI_NETNS" | "CNI_IFNAME" | "CNI_PATH";

// CNI specification 1.1.0, section 2, "CNI operations". CNI_PATH is optional there, but we delegate.
const NEEDED: Readonly<Record<Verb, readonly Variable[]>> = {
  ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  DEL: ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
  GC: ["CNI_PATH"],
  STATUS: ["CNI_PATH"],
  VERSION: [],
};

// CNI specification 1.1.0, section 2, "Parameters". It is also what keeps a path from leaving our directory.
const CONTAINER_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

// linux/if.h: IFNAMSIZ is 16 with the final zero.
const IFNAME_MAX = 15;

/** Reads the environment. Throws a CniError with code 4 that names every variable that is missing or wrong. */
export function parseCall(env: Environment): Call {
  const verb = parseVerb(env);
  const missing = NEEDED[verb].filter((name) => !env[name]);
  if (missing.length > 0) {
    throw new CniError(CODE.badEnvironment, `${missing.join(", ")} not set; ${verb} needs ${NEEDED[verb].join(", ")}`);
  }
  const call = {
    verb,
    containerId: env["CNI_CONTAINERID"] ?? "",
    netns: env["CNI_NETNS"] ?? "",
    ifname: env["CNI_IFNAME"] ?? "",
    path: (env["CNI_PATH"] ?? "").split(":").filter((dir) => dir !== ""),
    env,
  };
  const problems: string[] = [];
  if (NEEDED[verb].includes("CNI_CONTAINERID") && !isContainerId(call.containerId)) {
    problems.push(
      `CNI_CONTAINERID is "${call.containerId}"; it may hold letters, digits and _.- and starts with a letter or digit`,
    );
  }
  if (NEEDED[verb].includes("CNI_IFNAME") && !isIfname(call.ifname)) {
    problems.push(
      `CNI_IFNAME is "${call.ifname}"; an interface name has 1 to ${IFNAME_MAX} characters without "/", ":" and blanks`,
    );
  }
  if (problems.length > 0) throw new CniError(CODE.badEnvironment, problems.join("; "));
  return call;
}

export function isContainerId(text: string): boolean {
  return CONTAINER_ID.test(text);
}

/** As the kernel's dev_valid_name (net/core/dev.c). */
export function isIfname(text: string): boolean {
  return text !== "." && text !== ".." && text.length <= IFNAME_MAX && /^[^/:\s]+$/.test(text);
}

function parseVerb(env: Environment): Verb {
  const command = env["CNI_COMMAND"];
  const verb = VERBS.find((known) => known === command);
  if (verb) return verb;
  if (command) {
    throw new CniError(CODE.badEnvironment, `CNI_COMMAND is "${command}"; it must be one of ${VERBS.join(", ")}`);
  }
  const missing = ["CNI_COMMAND", ...NEEDED.ADD].filter((name) => !env[name]);
  throw new CniError(
    CODE.badEnvironment,
    `${missing.join(", ")} not set; twill-cni is a CNI plugin, which a container runtime starts with these variables and a network configuration on standard input`,
  );
}

import { type Call, type Environment, parseCall } from "./call.ts";
import { type CniError, formatError, toCniError } from "./error.ts";
import { parseNetConf, versionOf } from "./netconf.ts";
import { Plugin, type PluginHost } from "./plugin.ts";
import { NEWEST_VERSION, SUPPORTED_VERSIONS } from "./version.ts";

/** What a call of the plugin ends with. */
export interface Answer {
  /** For standard output; "" where the verb has no result. */
  readonly stdout: string;
  /** Set when the call failed; `stdout` tells it in CNI's form. */
  readonly error: CniError | undefined;
}

/**
 * One call of the plugin, from environment and standard input to the answer. `readStdin` is called once, and only when
 * the environment is in order: there may be nobody who closes standard input. Never throws.
 */
export function runPlugin(env: Environment, readStdin: () => string, host: PluginHost): Answer {
  let version = NEWEST_VERSION;
  try {
    const call = parseCall(env);
    const stdin = readStdin();
    version = versionOf(stdin) ?? NEWEST_VERSION;
    return { stdout: answer(call, stdin, version, host), error: undefined };
  } catch (thrown) {
    const error = toCniError(thrown);
    return { stdout: formatError(error, version), error };
  }
}

function answer(call: Call, stdin: string, version: string, host: PluginHost): string {
  if (call.verb === "VERSION") {
    return JSON.stringify({ cniVersion: version, supportedVersions: SUPPORTED_VERSIONS });
  }
  const plugin = new Plugin(call, parseNetConf(stdin), host);
  switch (call.verb) {
    case "ADD":
      return JSON.stringify(plugin.add());
    case "DEL":
      plugin.del();
      return "";
    case "CHECK":
      plugin.check();
      return "";
    case "STATUS":
      plugin.status();
      return "";
    case "GC":
      plugin.gc();
      return "";
  }
}

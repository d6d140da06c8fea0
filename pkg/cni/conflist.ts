/** The file name of the network that we ship: runtimes take the first one in the order of names. */
export const CONFLIST_NAME = "10-twill.conflist";

/** The plugins that the network uses beside our own; the runtime needs `loopback` for every pod as well. */
export const STANDARD_PLUGINS: readonly string[] = ["bridge", "host-local", "loopback", "portmap"];

/** The network that we ship, as deploy/cni/10-twill.conflist has it: flannel's, with our plugin. */
export const CONFLIST = {
  name: "cbr0",
  cniVersion: "1.0.0",
  plugins: [
    { type: "twill", delegate: { hairpinMode: true, isDefaultGateway: true } },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
} as const;

/** The text of the file. */
export function conflistText(): string {
  return `${JSON.stringify(CONFLIST, undefined, 2)}\n`;
}

/** Versions of the CNI specification that we speak, oldest first. */
export const SUPPORTED_VERSIONS: readonly string[] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

export const NEWEST_VERSION = "1.1.0";

// What a netconf without cniVersion means (CNI specification 0.2.0, "Network Configuration").
const OLDEST_VERSION = "0.1.0";

export function isSupported(version: string): boolean {
  return SUPPORTED_VERSIONS.includes(effective(version));
}

/** Whether `version` is `least` or newer; both must be supported ones. */
export function atLeast(version: string, least: string): boolean {
  return SUPPORTED_VERSIONS.indexOf(effective(version)) >= SUPPORTED_VERSIONS.indexOf(least);
}

/**
 * The version to call a delegate at: the netconf's own where the delegate knows it, so that nothing needs converting,
 * else the newest that both of us know. Undefined when there is none.
 */
export function chooseVersion(wanted: string, theirs: readonly string[]): string | undefined {
  if (theirs.includes(effective(wanted))) return wanted;
  return SUPPORTED_VERSIONS.findLast((version) => theirs.includes(version));
}

function effective(version: string): string {
  return version === "" ? OLDEST_VERSION : version;
}

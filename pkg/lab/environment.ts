// What a user may have exported for a real cluster must not leak into the lab's programs.
const FOREIGN = /^(TWILLD_|FLANNELD_|ETCDCTL_|ETCD_|CNI_|NODE_OPTIONS$|NODE_NAME$)/;

/** Our own environment for a program of the lab: without other clusters' settings, and with a PATH that has the system's tools. */
export function labEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !FOREIGN.test(name)));
  return { ...own, PATH: systemPath(), ...extra };
}

// ip, nft and iptables are in directories that an ordinary user's PATH often lacks.
function systemPath(): string {
  const path = (process.env["PATH"] ?? "").split(":").filter((part) => part !== "");
  const missing = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].filter((directory) => !path.includes(directory));
  return [...path, ...missing].join(":");
}

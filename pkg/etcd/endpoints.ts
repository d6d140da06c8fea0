import { ConfigError } from "../base/errors.ts";

/** Where etcd is: "host:port" without scheme, each once, and whether all of them speak TLS. */
export interface Endpoints {
  readonly hosts: readonly string[];
  readonly tls: boolean;
}

const DEFAULT_PORT = "2379";
const FORMS = "write http://HOST:PORT or https://HOST:PORT";

/**
 * Reads endpoints as flannel and etcdctl take them: URLs or plain "host:port", each item possibly a list with commas.
 * The scheme decides about TLS; where none is written, `tlsFiles` does: somebody who names a certificate wants TLS.
 *
 * Throws ConfigError naming every endpoint that makes no sense.
 */
export function parseEndpoints(list: readonly string[], tlsFiles: boolean): Endpoints {
  const hosts = new Set<string>();
  const schemes = new Set<string>();
  const problems: string[] = [];
  for (const text of list.flatMap((item) => item.split(",")).map((item) => item.trim())) {
    if (text === "") continue;
    const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `${tlsFiles ? "https" : "http"}://${text}`);
    if (!url || url.hostname === "" || !["http:", "https:"].includes(url.protocol)) {
      problems.push(`etcd endpoint "${text}" is not an address: ${FORMS}`);
    } else if (url.username !== "" || url.password !== "") {
      problems.push(`etcd endpoint "${url.host}" holds a user name: give it by --etcd-username and --etcd-password`);
    } else if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
      problems.push(`etcd endpoint "${text}" has a path: ${FORMS}`);
    } else {
      schemes.add(url.protocol);
      hosts.add(`${url.hostname}:${portOf(text, url)}`);
    }
  }
  if (schemes.size > 1) problems.push("etcd endpoints mix http and https: use the same for all");
  if (hosts.size === 0 && problems.length === 0) problems.push(`no etcd endpoint is given: ${FORMS}`);
  if (problems.length > 0) throw new ConfigError(problems);
  return { hosts: [...hosts], tls: schemes.has("https:") };
}

// URL drops the port that is its scheme's default: what was written as ":80" or ":443" is meant.
function portOf(text: string, url: URL): string {
  return url.port || (/:(80|443)\/?$/.exec(text)?.[1] ?? DEFAULT_PORT);
}

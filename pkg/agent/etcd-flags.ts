import { posix, resolve } from "node:path";
import type { EtcdConfig } from "./config.ts";
import { anyText, type Rule, type Settings } from "./settings.ts";

/** The etcd settings; a sentence in `settings.problems` for each that is wrong or lacks its other half. */
export function readEtcdConfig(settings: Settings): EtcdConfig {
  const certFile = settings.optional("etcd-certfile", fullPath);
  const keyFile = settings.optional("etcd-keyfile", fullPath);
  const caFile = settings.optional("etcd-cafile", fullPath);
  const username = settings.optional("etcd-username", anyText);
  const password = settings.optional("etcd-password", anyText);
  const tls = (certFile ?? keyFile ?? caFile) !== undefined;
  const endpoints = settings.value("etcd-endpoints", endpointList(tls ? "https" : "http"));

  together(settings, "etcd-certfile", "etcd-keyfile");
  together(settings, "etcd-username", "etcd-password");
  const given = settings.last("etcd-password");
  if (given?.from.startsWith("-")) {
    settings.warn(
      `${given.from} is on the command line, where every user of this host sees it in ps: give it in TWILLD_ETCD_PASSWORD`,
    );
  }
  if (tls && endpoints[0]?.startsWith("http:")) {
    const given = settings.last("etcd-cafile") ?? settings.last("etcd-certfile") ?? settings.last("etcd-keyfile");
    settings.warn(`${given?.from} has no effect: the etcd endpoints are http://, so nothing is encrypted`);
  }
  return { endpoints, prefix: settings.value("etcd-prefix", prefix), keyFile, certFile, caFile, username, password };
}

// The agent leaves the directory that it was started in.
const fullPath: Rule<string> = (text) => resolve(text);

function together(settings: Settings, a: string, b: string): void {
  const [one, other] = [settings.last(a), settings.last(b)];
  if (one && !other) settings.refuse(`${one.from} is given without --${b}: give both or neither`);
  if (other && !one) settings.refuse(`${other.from} is given without --${a}: give both or neither`);
}

// etcd's own client takes "host:port" without a scheme too, and so does flannel.
function endpointList(scheme: "http" | "https"): Rule<readonly string[]> {
  return (text) => {
    const parts = text.split(",").map((part) => part.trim());
    const urls = parts.filter((part) => part !== "").map((part) => endpoint(part, scheme));
    if (urls.length === 0) throw new RangeError("give at least one URL, as http://10.0.0.1:2379");
    if (new Set(urls.map((url) => url.slice(0, url.indexOf(":")))).size > 1)
      throw new RangeError("give endpoints that are either all http:// or all https://");
    return urls;
  };
}

function endpoint(text: string, scheme: "http" | "https"): string {
  const full = text.includes("://") ? text : `${scheme}://${text}`;
  const match = /^(https?:\/\/)([^/:@?#[\]\s]+|\[[0-9a-fA-F:.]+\]):(\d+)\/?$/.exec(full);
  const [, start = "", host = "", port = ""] = match ?? [];
  if (!match || Number(port) < 1 || Number(port) > 65_535 || !URL.canParse(full))
    throw new RangeError(`${JSON.stringify(text)} is no endpoint: give scheme, host and port, as http://10.0.0.1:2379`);
  return `${start}${host}:${port}`;
}

// path.Join of Go, which flannel makes its keys with, cleans the same way.
function prefix(text: string): string {
  const clean = posix.normalize(text).replace(/\/$/, "");
  if (clean === "." || clean.startsWith("..")) throw new RangeError("give a key, as /coreos.com/network");
  return clean;
}

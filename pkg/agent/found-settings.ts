import type { Setting } from "../api/setting.ts";
import type { Status } from "../api/status.ts";
import { parseJsonObject } from "../lease/json-object.ts";
import type { NetworkConfig } from "../subnet/network-config.ts";
import { formatNetworkConfig } from "./network-text.ts";

/**
 * Every field of the network config with its effective value: "Network", "Backend.VNI". `text` is what stands at `key` in
 * etcd, by which a value that somebody wrote is told from a default; undefined while only the last run's is known.
 */
export function networkSettings(config: NetworkConfig, text: string | undefined, key: string): Setting[] {
  const whole = text === undefined ? undefined : parseJsonObject(text).value;
  const backend = whole?.field("Backend");
  const inBackend = parseJsonObject(JSON.stringify(backend ?? {})).value;
  const { Backend, ...fields } = JSON.parse(formatNetworkConfig(config)) as Record<string, unknown>;
  const setting = (name: string, value: unknown, written: unknown): Setting => {
    const shown = { name, value: String(value) };
    if (text === undefined)
      return { ...shown, source: "network-config", from: "the last run; none of use was read from etcd" };
    if (written === undefined) return { ...shown, source: "default", from: "" };
    return { ...shown, source: "network-config", from: key };
  };
  return [
    ...Object.entries(fields).map(([name, value]) => setting(name, value, whole?.field(name))),
    ...Object.entries(Backend as object).map(([name, value]) =>
      setting(`Backend.${name}`, value, inBackend?.field(name)),
    ),
  ];
}

/** What the agent found out or made. `because`: how the underlay was chosen. */
export function discoveredSettings({ node, underlay, dataplane }: Status, because: string): Setting[] {
  const found = (name: string, value: string, from: string): Setting => ({ name, value, source: "discovered", from });
  return [
    found("node-id", node.id, "made at the first start, kept in the state directory"),
    ...(underlay
      ? [
          found("underlay interface", underlay.interface, because),
          found("underlay MTU", String(underlay.mtu), underlay.interface),
          found("underlay addresses", underlay.publicIps.join(","), because),
        ]
      : []),
    ...(dataplane
      ? [
          found("overlay MTU", dataplane.mtus.join(","), "the underlay's less the headers"),
          ...(dataplane.rung === "" ? [] : [found("offload in use", dataplane.rung, "tried at the start")]),
        ]
      : []),
  ];
}

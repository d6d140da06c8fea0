import { FAMILIES } from "../../pkg/addr/family.ts";
import { formatNetworkConfig } from "../../pkg/agent/network-text.ts";
import { RefusedError } from "../../pkg/api/control.ts";
import { describeLease } from "../../pkg/lease/lease-row.ts";
import type { Lease } from "../../pkg/lease/lease.ts";
import { isLeasable, type NetworkConfig, parseNetworkConfig } from "../../pkg/subnet/network-config.ts";
import type { Entry } from "../../pkg/subnet/registry.ts";
import { Survey } from "../../pkg/subnet/survey.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { type Checked, checkConfig, describeConfig, readConfigText } from "./config-check.ts";
import { type Reached, withRegistry } from "./etcd.ts";
import { toJson } from "./to-json.ts";

const KEY = "config";
// Leases that do not fit are named up to here.
const MOST_NAMED = 3;

/** Writes a network config to etcd, unless it is wrong or leases live there that do not fit it. */
export async function runConfigSet(call: Call): Promise<Outcome> {
  const text = await readConfigText(call);
  // What is wrong in itself is told without asking etcd.
  checkConfig(text);
  return withRegistry(call, (reached) => write(call, text.trim(), reached));
}

async function write(call: Call, text: string, { registry, prefix, endpoints }: Reached): Promise<Outcome> {
  const snapshot = await registry.list();
  const liveLeases = new Survey(snapshot).claims.flatMap((claim) => claim.lease ?? []);
  const checked = checkConfig(text, { liveLeases });
  const misfits = liveLeases.flatMap((lease) => misfit(checked.config, lease) ?? []);
  if (misfits.length > 0 && call.flags.get("force") !== "true") throw new RefusedError(describeMisfits(misfits));
  const before = snapshot.entries.find((entry) => entry.key === KEY);
  const where = `${prefix}/${KEY} at ${endpoints}`;
  if (before?.value === text) return told(call, checked, false, `${where} says that already.\n`);
  const written = before
    ? await registry.update(KEY, text, "0", before.modRevision)
    : await registry.create(KEY, text, "0");
  if (!written) throw new RefusedError(`${where} was changed by somebody else just now: look at it, and try again`);
  return told(call, checked, true, `${where} is written. ${consequence(before, checked.config)}\n`);
}

function told(call: Call, { config, warnings }: Checked, written: boolean, sentence: string): Outcome {
  if (call.json) {
    const effective: unknown = JSON.parse(formatNetworkConfig(config));
    return { text: toJson({ written, config: effective, warnings }), code: EXIT.ok };
  }
  return { text: `${sentence}\n${describeConfig(config, warnings, false)}`, code: EXIT.ok, problems: warnings };
}

function consequence(before: Entry | undefined, config: NetworkConfig): string {
  if (!before) return "Agents that wait for a network config go on by themselves.";
  return sameMeaning(before.value, config)
    ? "It means the same as before: no agent needs to be restarted."
    : "Running agents keep what they have: restart twilld node by node.";
}

function sameMeaning(text: string, config: NetworkConfig): boolean {
  try {
    return formatNetworkConfig(parseNetworkConfig(text)) === formatNetworkConfig(config);
  } catch {
    // What stood there made no sense, so it meant something else.
    return false;
  }
}

/** Why a lease does not fit a config; undefined where it does. */
function misfit(config: NetworkConfig, lease: Lease): string | undefined {
  const { backendType } = lease.attrs;
  if (backendType !== config.backend.type)
    return `${describeLease(lease)} speaks ${backendType || "no backend that is named"}, not ${config.backend.type}`;
  const outside = FAMILIES.some((family) => {
    const subnet = lease.subnet[family];
    return (subnet === undefined) !== (config.network[family] === undefined) || (subnet && !isLeasable(config, subnet));
  });
  return outside ? `${describeLease(lease)} is no subnet that the new config gives out` : undefined;
}

function describeMisfits(misfits: readonly string[]): string {
  const more = misfits.length > MOST_NAMED ? `, and ${misfits.length - MOST_NAMED} more` : "";
  return (
    `${misfits.length} living ${misfits.length === 1 ? "lease does" : "leases do"} not fit: ` +
    `${misfits.slice(0, MOST_NAMED).join("; ")}${more}; those nodes get new subnets and their pods lose the network ` +
    "when they are restarted: take them out first (twillctl leave), or give --force"
  );
}

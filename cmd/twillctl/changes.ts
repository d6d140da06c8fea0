// The commands that change something.

import type { AgentClient } from "../../pkg/api/client.ts";
import { toJson } from "./to-json.ts";

/** What a command printed, and whether all of it was done. */
export interface Changed {
  readonly text: string;
  /** What could not be done, a sentence each. */
  readonly problems: readonly string[];
}

/** Takes this node out of the cluster. */
export async function leave(client: AgentClient, json: boolean): Promise<Changed> {
  const left = await client.leave();
  const { subnets, problems } = left;
  const given = subnets.length > 0 ? ` and given back ${subnets.join(" and ")}` : "";
  return { text: json ? toJson(left) : `This node has left the cluster${given}. twilld ends.\n`, problems };
}

/** `subnets` and `publicIps` as they stand on the command line: one, or one of each family with a comma between. */
export async function reserve(
  client: AgentClient,
  json: boolean,
  [subnets = "", publicIps = ""]: readonly string[],
): Promise<Changed> {
  const key = await client.reserve(subnets.split(","), publicIps.split(","));
  const text = `${key} is reserved for ${publicIps}; a node there that has another subnet takes it when it is restarted.\n`;
  return { text: json ? toJson({ key }) : text, problems: [] };
}

export async function unreserve(
  client: AgentClient,
  json: boolean,
  [subnets = ""]: readonly string[],
): Promise<Changed> {
  const key = await client.unreserve(subnets.split(","));
  return { text: json ? toJson({ key }) : `${key} is not reserved any more.\n`, problems: [] };
}

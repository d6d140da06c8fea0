// The commands that change something.

import { type Call, EXIT, type Outcome } from "./command.ts";
import { toJson } from "./to-json.ts";

/** Takes this node out of the cluster. */
export async function runLeave(call: Call): Promise<Outcome> {
  const left = await (await call.agent()).leave();
  const { subnets, problems } = left;
  const given = subnets.length > 0 ? ` and given back ${subnets.join(" and ")}` : "";
  const text = call.json ? toJson(left) : `This node has left the cluster${given}. twilld ends.\n`;
  return { text, code: problems.length === 0 ? EXIT.ok : EXIT.refused, problems };
}

/** The arguments: one subnet and one address, or one of each family with a comma between. */
export async function runReserve(call: Call): Promise<Outcome> {
  const [subnets = "", publicIps = ""] = call.args;
  const key = await (await call.agent()).reserve(subnets.split(","), publicIps.split(","));
  const text = `${key} is reserved for ${publicIps}; a node there that has another subnet takes it when it is restarted.\n`;
  return { text: call.json ? toJson({ key }) : text, code: EXIT.ok };
}

export async function runUnreserve(call: Call): Promise<Outcome> {
  const [subnets = ""] = call.args;
  const key = await (await call.agent()).unreserve(subnets.split(","));
  return { text: call.json ? toJson({ key }) : `${key} is not reserved any more.\n`, code: EXIT.ok };
}

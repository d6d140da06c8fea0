import { type Family, type PerFamily } from "../addr/family.ts";
import type { Host, Route } from "../host/host.ts";
import { type ChosenUnderlay, chooseUnderlay } from "../underlay/choose.ts";
import type { UnderlayConfig } from "./config.ts";

/** Looks at the host and chooses the underlay. Throws a ConfigError that says what is missing, or a HostError. */
export async function readUnderlay(
  host: Host,
  choice: UnderlayConfig,
  families: readonly Family[],
): Promise<ChosenUnderlay> {
  const [links, reach, ...tables] = await Promise.all([
    host.links(),
    choice.ifaceCanReach && host.routeTo(choice.ifaceCanReach),
    ...families.map((family) => host.routes(family)),
  ]);
  const routes: { -readonly [F in Family]?: readonly Route[] } = {};
  for (const [i, family] of families.entries()) routes[family] = tables[i] ?? [];
  return chooseUnderlay({ links, routes: routes satisfies PerFamily<readonly Route[]>, reach }, choice, families);
}

import type { Setting, SettingSource } from "../../pkg/api/setting.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { type Cell, type Screen, table } from "./screen.ts";
import { toJson } from "./to-json.ts";

/** What the agent runs with, and where each value came from. */
export async function runConfigShow(call: Call): Promise<Outcome> {
  const settings = await (await call.agent()).settings();
  return { text: call.json ? toJson({ settings }) : showSettings(settings, call.screen), code: EXIT.ok };
}

const SOURCES: Readonly<Record<SettingSource, string>> = {
  default: "default",
  flag: "flag",
  environment: "environment",
  "network-config": "etcd",
  discovered: "found",
  runtime: "set since",
  unknown: "not known here",
};

function showSettings(settings: readonly Setting[], screen: Screen): string {
  const rows = settings.map(({ name, value, source, from }): Cell[] => [
    { text: name },
    { text: value || "-" },
    { text: SOURCES[source], ...(source === "default" && { colour: "dim" as const }) },
    { text: from },
  ]);
  return table(["SETTING", "VALUE", "FROM", "BY"], rows, screen);
}

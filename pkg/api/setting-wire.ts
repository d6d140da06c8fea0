import { twill } from "../../proto/gen/agent.js";
import { LOG_LEVELS, type LogLevel, type Setting, type SettingSource } from "./setting.ts";

type WireSetting = twill.v1.Setting.$Properties;

const { SettingSource: WireSource, LogLevel: WireLevel } = twill.v1;

const SOURCES = {
  unknown: WireSource.SETTING_SOURCE_UNSPECIFIED,
  default: WireSource.SETTING_SOURCE_DEFAULT,
  flag: WireSource.SETTING_SOURCE_FLAG,
  environment: WireSource.SETTING_SOURCE_ENVIRONMENT,
  "network-config": WireSource.SETTING_SOURCE_NETWORK_CONFIG,
  discovered: WireSource.SETTING_SOURCE_DISCOVERED,
  runtime: WireSource.SETTING_SOURCE_RUNTIME,
} as const satisfies Record<SettingSource, twill.v1.SettingSource>;

const LEVELS = {
  debug: WireLevel.LOG_LEVEL_DEBUG,
  info: WireLevel.LOG_LEVEL_INFO,
  warn: WireLevel.LOG_LEVEL_WARN,
  error: WireLevel.LOG_LEVEL_ERROR,
} as const satisfies Record<LogLevel, twill.v1.LogLevel>;

export function encodeSetting(setting: Setting): WireSetting {
  return { ...setting, source: SOURCES[setting.source] };
}

export function decodeSetting(wire: WireSetting): Setting {
  const source = (Object.keys(SOURCES) as SettingSource[]).find((name) => SOURCES[name] === wire.source);
  return { name: wire.name ?? "", value: wire.value ?? "", source: source ?? "unknown", from: wire.from ?? "" };
}

export function encodeLevel(level: LogLevel): twill.v1.LogLevel {
  return LEVELS[level];
}

/** Undefined for one that is not told or not known here. */
export function decodeLevel(wire: twill.v1.LogLevel | null | undefined): LogLevel | undefined {
  return LOG_LEVELS.find((level) => LEVELS[level] === wire);
}

/** One value that the agent goes by, and what decided it. */
export interface Setting {
  /** A flag's name without dashes, or another one that no flag has. */
  readonly name: string;
  /** As it would be written; empty where there is none. Of a secret only "set". */
  readonly value: string;
  readonly source: SettingSource;
  /** The flag, the variable, the key in etcd or what it was found by; empty for a default. */
  readonly from: string;
}

/** "runtime": somebody has set it over the control API. "unknown": an agent that is newer than we are knows more. */
export type SettingSource =
  "default" | "flag" | "environment" | "network-config" | "discovered" | "runtime" | "unknown";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** How much is logged: `level` may be set at any time. */
export interface LogLevels {
  level: LogLevel;
  /** What the agent was started with, and is again when it is started again. */
  readonly startedWith: LogLevel;
}

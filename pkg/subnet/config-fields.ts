import { excerpt } from "../lease/parsed.ts";
import type { JsonObject } from "../lease/json-object.ts";

/** What is wrong with a config so far: full sentences. */
export type Problems = string[];

// Go's decoder, and so flannel, takes no string for a number and no number for a boolean.

/** A field that is an integer within bounds, both inclusive. Undefined when absent, or wrong and put into `problems`. */
export function integerField(
  json: JsonObject,
  name: string,
  path: string,
  least: number,
  most: number,
  problems: Problems,
): number | undefined {
  const value = json.field(name);
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  problems.push(`${path} is ${show(value)}: give an integer from ${least} to ${most}, without quotes`);
  return undefined;
}

export function booleanField(json: JsonObject, name: string, path: string, problems: Problems): boolean | undefined {
  const value = json.field(name);
  if (value === undefined || typeof value === "boolean") return value;
  problems.push(`${path} is ${show(value)}: give true or false, without quotes`);
  return undefined;
}

/** A field that is text. An empty one counts as absent, as in Go, where both are the zero value. */
export function stringField(json: JsonObject, name: string, example: string, problems: Problems): string | undefined {
  const value = json.field(name);
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string") return value;
  problems.push(`${name} is ${show(value)}: give text such as "${example}"`);
  return undefined;
}

function show(value: unknown): string {
  if (typeof value === "string") return `the text ${excerpt(value)}`;
  return typeof value === "object" ? "a JSON object or list" : JSON.stringify(value);
}

import type { Parsed } from "./parsed.ts";

/** A JSON object whose members are found as Go's encoding/json finds them, which is how flannel reads all of its JSON. */
export class JsonObject {
  readonly #exact = new Map<string, unknown>();
  readonly #folded = new Map<string, unknown>();

  constructor(members: object) {
    for (const [name, value] of Object.entries(members)) {
      this.#exact.set(name, value);
      this.#folded.set(name.toLowerCase(), value);
    }
  }

  /** The member of this name, else the last one whose name differs in case only. Undefined when there is none or it is null. */
  field(name: string): unknown {
    const value = this.#exact.get(name) ?? this.#folded.get(name.toLowerCase());
    return value === null ? undefined : value;
  }
}

/** Reads text that must hold one JSON object. */
export function parseJsonObject(text: string): Parsed<JsonObject> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // V8's message quotes the input, which may be long and hostile.
    return { malformed: "is not valid JSON" };
  }
  return isObject(value) ? { value: new JsonObject(value) } : { malformed: "is not a JSON object" };
}

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// ECMAScript's JSON.rawJSON (proposal-json-parse-with-source, in Node since 21); TypeScript's library lacks it.
const { rawJSON } = JSON as unknown as { rawJSON(this: void, text: string): unknown };

/** JSON with every field present (null where there is no value) and integers in full, also those above 2^53. */
export function toJson(value: unknown): string {
  const plain = (_key: string, value: unknown): unknown => {
    if (typeof value === "bigint") return rawJSON(value.toString());
    return value === undefined ? null : value;
  };
  return `${JSON.stringify(value, plain, 2)}\n`;
}

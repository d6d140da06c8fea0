import { readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { expect, test } from "vitest";

// An old twillctl and a new twilld understand each other as long as nothing in proto/frozen.txt changes.
const FROZEN = "proto/frozen.txt";

/** The control API, a line for whatever may never change: fields by number and type, values by number, methods. */
function contract(): string[] {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => join("proto", target);
  root.loadSync("twill/v1/agent.proto", { keepCase: true }).resolveAll();
  const lines: string[] = [];
  const visit = (each: protobuf.ReflectionObject): void => {
    const name = each.fullName.slice(1);
    if (each instanceof protobuf.Type) {
      for (const field of each.fieldsArray) {
        const type = field instanceof protobuf.MapField ? `map<${field.keyType}, ${field.type}>` : field.type;
        lines.push(`${name}.${field.name} = ${field.id} ${field.repeated ? "repeated " : ""}${type}`);
      }
    }
    if (each instanceof protobuf.Enum) {
      for (const [value, id] of Object.entries(each.values)) lines.push(`${name}.${value} = ${id}`);
    }
    if (each instanceof protobuf.Service) {
      for (const { name: method, requestType, responseType, responseStream } of each.methodsArray) {
        lines.push(`${name}/${method} ${requestType} ${responseStream === true ? "stream " : ""}${responseType}`);
      }
    }
    if (each instanceof protobuf.Namespace) for (const inner of each.nestedArray) visit(inner);
  };
  visit(root);
  return lines.toSorted();
}

test("nothing of the control API has been renumbered, renamed, retyped or removed", () => {
  const frozen = readFileSync(FROZEN, "utf8").trimEnd().split("\n");
  const now = contract();
  expect(frozen.filter((line) => !now.includes(line))).toEqual([]);
  expect(
    now.filter((line) => !frozen.includes(line)),
    `new in the control API: once it is right for good, add these lines to ${FROZEN}`,
  ).toEqual([]);
});

test("no number is used twice", () => {
  const numbers = contract().flatMap((line) => /^(.*)\.\w+ = (\d+)/.exec(line)?.slice(1).join(" ") ?? []);
  expect(numbers.length).toBe(new Set(numbers).size);
});

import { expect, test } from "vitest";
import { type FlagShape, parseGoFlags } from "./go-flags.ts";

const SHAPES: readonly FlagShape[] = [
  { name: "iface", kind: "value" },
  { name: "ip-masq", kind: "bool" },
  { name: "v", kind: "value" },
  { name: "help", alias: "h", kind: "bool" },
];

const forms = [
  { args: ["-iface", "eth0", "-iface", "eth1"], given: ["iface=eth0", "iface=eth1"] },
  { args: ["--iface=eth0"], given: ["iface=eth0"] },
  { args: ["--iface="], given: ["iface="] },
  { args: ["--iface", ""], given: ["iface="] },
  { args: ["-iface=a=b"], given: ["iface=a=b"] },
  // Go's: the next argument is the value, whatever it looks like.
  { args: ["-iface", "-v"], given: ["iface=-v"] },
  { args: ["-ip-masq"], given: ["ip-masq=true"] },
  { args: ["-ip-masq=false", "--ip-masq=T"], given: ["ip-masq=false", "ip-masq=true"] },
  { args: ["-v=2"], given: ["v=2"] },
  { args: ["-v", "2"], given: ["v=2"] },
  { args: ["-h"], given: ["help=true"] },
];

for (const { args, given } of forms) {
  test(`${args.join(" ")} gives ${given.join(", ")}`, () => {
    const parsed = parseGoFlags(args, SHAPES);
    expect(parsed.given.map(({ name, value }) => `${name}=${value}`)).toEqual(given);
    expect(parsed.problems).toEqual([]);
    expect(parsed.positionals).toEqual([]);
  });
}

test("a bool never takes the next argument", () => {
  const parsed = parseGoFlags(["-ip-masq", "false", "-v=1"], SHAPES);
  expect(parsed.given).toEqual([
    { name: "ip-masq", value: "true" },
    { name: "v", value: "1" },
  ]);
  expect(parsed.positionals).toEqual([{ text: "false", after: "ip-masq" }]);
});

test("behind -- all are positionals", () => {
  const parsed = parseGoFlags(["-v=1", "--", "-v=2", "--help"], SHAPES);
  expect(parsed.given).toHaveLength(1);
  expect(parsed.positionals.map(({ text }) => text)).toEqual(["-v=2", "--help"]);
});

test("a lone dash is a positional", () => {
  expect(parseGoFlags(["-"], SHAPES).positionals).toEqual([{ text: "-", after: undefined }]);
});

test("every problem is told at once, without the values", () => {
  const parsed = parseGoFlags(
    ["--ifaze", "s3cret", "---v", "-=x", "-ip-masq=maybe", "--nothing-like-it=s3cret", "-v"],
    SHAPES,
  );
  expect(parsed.problems).toEqual([
    "unknown flag --ifaze: did you mean --iface?",
    '"---v" is not a flag: write --name or --name=value',
    '"-=x" is not a flag: write --name or --name=value',
    '--ip-masq is "maybe": give true or false',
    "unknown flag --nothing-like-it",
    "--v needs a value: write --v=value",
  ]);
  expect(parsed.positionals).toEqual([]);
});

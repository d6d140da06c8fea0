import { expect, test } from "vitest";
import { FLAGS, GROUPS } from "./flag-table.ts";
import { parseArgs } from "./flags.ts";
import { helpText } from "./help.ts";

const lines = helpText().split("\n");

test("no line is longer than 100 columns", () => {
  expect(lines.filter((line) => line.length > 100)).toEqual([]);
});

test("every flag is there once", () => {
  for (const flag of FLAGS) {
    expect(lines.filter((line) => new RegExp(`^  (-h, )?--${flag.name}( |$)`).test(line))).toHaveLength(1);
  }
});

test("the groups stand in their order", () => {
  const headings = lines.filter((line) => /^[A-Z].*:$/.test(line) && line !== "Exit codes:");
  expect(headings.map((line) => line.slice(0, -1).toLowerCase())).toEqual([...GROUPS]);
});

const expected = [
  "Usage: twilld [--flag=value ...]",
  "switch. Each may be set in the environment instead: --etcd-endpoints is TWILLD_ETCD_ENDPOINTS,",
  "or FLANNELD_ETCD_ENDPOINTS as for flannel. A flag beats TWILLD_, which beats FLANNELD_.",
  "  --iface NAME|IP                     interface to the other nodes; repeat it for more, the first",
  "  --healthz-port PORT                 their port; 0 serves neither (default 0)",
  "  0  stopped by a signal; lease and kernel state stay, so that pods keep their network",
  "  2  a flag or the environment is wrong",
];

for (const line of expected) {
  test(`help says ${line.trim().slice(0, 50)}`, () => expect(lines).toContain(line));
}

test("every default is one that the flag itself takes", () => {
  const defaults = FLAGS.filter((flag) => flag.fallback !== undefined);
  // Where a value comes from is another matter.
  const parsed = (argv: string[]): object => ({ ...parseArgs(argv, {}), origins: undefined });
  expect(parsed(defaults.map((flag) => `--${flag.name}=${flag.fallback}`))).toEqual(parsed([]));
});

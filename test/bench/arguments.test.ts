import { expect, test } from "vitest";
import { parseArguments } from "./arguments.ts";

const KNOWN = ["raw", "kernel-vxlan", "twill-gso"];
const parse = (...args: string[]) => parseArguments(args, KNOWN);

test("a run of five rounds without options; --quick is one short round, unless told otherwise", () => {
  const full = { command: "run", quick: false, rounds: 5, seconds: 2, only: undefined, out: undefined, gate: false };
  expect(parse()).toEqual(full);
  expect(parse("--quick")).toEqual({ ...full, quick: true, rounds: 1, seconds: 1 });
  expect(parse("--quick", "--seconds=3")).toMatchObject({ quick: true, rounds: 1, seconds: 3 });
  expect(parse("--rounds", "7", "--gate", "--out", "/x", "--install-peers")).toEqual({
    ...full,
    rounds: 7,
    gate: true,
    out: "/x",
  });
});

test("--only takes the baseline in and keeps the order of the tables", () => {
  expect(parse("--only", "twill-gso")).toMatchObject({ only: ["kernel-vxlan", "twill-gso"] });
  expect(parse("--only=twill-gso, raw")).toMatchObject({ only: KNOWN });
});

test("help and docs", () => {
  expect(parse("--quick", "--help")).toEqual({ command: "help" });
  expect(parse("--write-docs")).toEqual({ command: "write-docs" });
});

test.each([
  [["--rounds", "0"], "--rounds 0: give a whole number from 1 to 100"],
  [["--seconds=1.5"], "--seconds 1.5: give a whole number from 1 to 60"],
  [["--rounds"], "--rounds needs a value"],
  [["--fast"], "there is no option --fast: give --rounds, "],
  [["tcp"], "there is no option tcp: give "],
  [["--only", "raw,flannel"], "--only flannel: give some of raw, kernel-vxlan, twill-gso"],
  [["--write-docs", "--quick"], "--write-docs measures nothing and takes no other option: give it alone"],
])("%j is told in one sentence", (args, sentence) => {
  expect(() => parse(...args)).toThrow(sentence);
});

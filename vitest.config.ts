import { defineConfig } from "vitest/config";

// What measures times, fills both cores, builds the programs again or looks at all namespaces of the machine, and would
// fail beside another lab, or make it fail.
const ALONE = ["bench", "gc", "lab", "lab-command", "load", "planes", "repair", "rungs", "thousand-peers", "wire"].map(
  (name) => `test/netns/${name}.test.ts`,
);

// A machine that is shared with others stands still for seconds at times: CI tries once more, and says so.
const RETRY = process.env["CI"] === undefined ? 0 : 1;

// V8 keeps a list of code pages for all threads of a process where the processor has protection keys, and dies of a race
// in it ("Check failed: jit_page.has_value()", seen once here) when threads with WebAssembly come and go by the dozen, as
// packet loops do in a file of tests.
const EXEC_ARGV = ["--no-memory-protection-keys"];

// What makes network namespaces builds the programs first, and mostly waits: for leases, for processes, for the kernel.
const NETNS = {
  globalSetup: "test/netns/build.ts",
  testTimeout: 60_000,
  hookTimeout: 120_000,
  retry: RETRY,
  execArgv: EXEC_ARGV,
};

// One project after another: unit tests side by side, then labs two at a time, then those that need the machine alone.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["pkg/**/*.test.ts", "cmd/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["test/netns/**", "test/deploy/**", "**/node_modules/**"],
          testTimeout: 20_000,
          execArgv: EXEC_ARGV,
          retry: RETRY,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...NETNS,
          name: "netns",
          include: ["test/netns/**/*.test.ts"],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: { ...NETNS, name: "alone", include: ALONE, fileParallelism: false, sequence: { groupOrder: 2 } },
      },
    ],
  },
});

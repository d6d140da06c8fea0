import { defineConfig } from "vitest/config";

// What measures times, fills both cores, builds the programs again or looks at all namespaces of the machine, and would
// fail beside another lab, or make it fail.
const ALONE = ["bench", "gc", "lab", "lab-command", "load", "planes", "repair", "rungs", "thousand-peers", "wire"].map(
  (name) => `test/netns/${name}.test.ts`,
);

// A machine that is shared with others stands still for seconds at times: CI tries once more, and says so.
const RETRY = process.env["CI"] === undefined ? 0 : 1;

// What makes network namespaces builds the programs first, and mostly waits: for leases, for processes, for the kernel.
const NETNS = { globalSetup: "test/netns/build.ts", testTimeout: 60_000, hookTimeout: 120_000, retry: RETRY };

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

import { defineConfig } from "vitest/config";

// Two projects: unit tests run side by side; what makes network namespaces runs one file at a time, since two cores
// shared by several labs would make every time-out a guess.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["pkg/**/*.test.ts", "cmd/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["test/netns/**", "test/deploy/**", "**/node_modules/**"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "netns",
          include: ["test/netns/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});

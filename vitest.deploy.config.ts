import { defineConfig } from "vitest/config";

// They begin with what others have begun to make, and a busy machine takes its time.
const TEST = { testTimeout: 120_000, hookTimeout: 1_200_000, retry: process.env["CI"] === undefined ? 0 : 1 };
const ALONE = ["test/deploy/add-cost.test.ts"];

// `npm run test:deploy`: twill as it is deployed, with real container runtimes, engines and init systems. What measures
// times comes first and alone; the others mostly wait, and run two at a time.
export default defineConfig({
  test: {
    projects: [
      { test: { ...TEST, name: "measured", include: ALONE, sequence: { groupOrder: 0 } } },
      {
        test: {
          ...TEST,
          name: "deploy",
          include: ["test/deploy/**/*.test.ts"],
          exclude: ALONE,
          globalSetup: "test/deploy/shared.ts",
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

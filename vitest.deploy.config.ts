import { defineConfig } from "vitest/config";

// `npm run test:deploy`: twill as it is deployed, with real container runtimes, engines and init systems.
export default defineConfig({
  test: {
    name: "deploy",
    include: ["test/deploy/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
});

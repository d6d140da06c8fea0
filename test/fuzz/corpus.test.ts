// Everything in the corpus, and a short run of what it can be changed into; `npm run fuzz -- --minutes 60` goes on.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inputs, readCorpus } from "./inputs.ts";
import { TARGETS } from "./targets.ts";

describe.each(Object.entries(TARGETS))("%s", (name, open) => {
  const corpus = readCorpus(name);

  test.each([...corpus])("%s", (_, input) => expect(() => open()(input)).not.toThrow());

  test("2000 changed inputs", () => {
    fc.assert(fc.property(inputs([...corpus.values()]), open()), { numRuns: 2000 });
  });
});

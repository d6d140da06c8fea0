import { expect, test } from "vitest";
import { parseCollections } from "./gc.ts";

// As Node 24 writes them.
const LOG = `{"level":"info","msg":"starting"}
[42:0x309e4000]       25 ms: Scavenge 4.7 (5.8) -> 3.8 (6.8) MB, pooled: 0 MB, 0.60 / 0.00 ms  (average mu = 1.000, current mu = 1.000) allocation failure;
[42:0x7f0a14000b70]       60 ms: Scavenge 4.7 (6.8) -> 3.8 (6.8) MB, pooled: 0 MB, 0.25 / 0.00 ms  (average mu = 1.000, current mu = 1.000) allocation failure;
[42:0x309e4000]      125 ms: Mark-Compact (reduce) 4.7 (5.8) -> 3.8 (6.8) MB, pooled: 0 MB, 2.00 / 0.00 ms  (average mu = 1.000, current mu = 1.000) finalize incremental marking;
`;

test("collections by thread, the main one first", () => {
  expect(parseCollections(LOG)).toEqual([
    { minor: 1, major: 1, ms: 2.6 },
    { minor: 1, major: 0, ms: 0.25 },
  ]);
});

test("those before the offset only tell which threads there are", () => {
  expect(parseCollections(LOG, LOG.indexOf("[42:0x7f0a"))).toEqual([
    { minor: 0, major: 1, ms: 2 },
    { minor: 1, major: 0, ms: 0.25 },
  ]);
});

import { expect, test } from "vitest";
import { Arrivals } from "./arrivals.ts";

/** The verdict after looks, a second apart, at what was sent and received. */
function after(
  looks: readonly (readonly [tx: bigint | undefined, rx: bigint | undefined])[],
  wait = 0,
): boolean | undefined {
  const arrivals = new Arrivals();
  looks.forEach(([tx, rx], i) => arrivals.look(tx, rx, i * 1000));
  return arrivals.arrives((looks.length - 1) * 1000 + wait);
}

const cases = [
  { name: "nothing is known at first", looks: [[5n, 5n]], arrives: undefined },
  {
    name: "a receiver that counts more",
    looks: [
      [5n, 5n],
      [6n, 6n],
    ],
    arrives: true,
  },
  {
    name: "two packets that did not come are no news",
    looks: [
      [5n, 5n],
      [7n, 5n],
    ],
    arrives: undefined,
  },
  {
    name: "three are",
    looks: [
      [5n, 5n],
      [7n, 5n],
      [8n, 5n],
    ],
    arrives: false,
  },
  {
    name: "the receiver was asked a moment later: what came then is not missed",
    looks: [
      [5n, 5n],
      [6n, 60n],
      [60n, 60n],
    ],
    arrives: true,
  },
  {
    name: "it worked, and does no more",
    looks: [
      [5n, 5n],
      [9n, 9n],
      [9n, 9n],
      [12n, 9n],
    ],
    arrives: false,
  },
  {
    name: "it did not, and works again",
    looks: [
      [5n, 5n],
      [9n, 5n],
      [10n, 6n],
    ],
    arrives: true,
  },
  {
    name: "a sender that counts from nothing again",
    looks: [
      [50n, 5n],
      [2n, 5n],
      [4n, 5n],
    ],
    arrives: undefined,
  },
  {
    name: "a receiver that counts from nothing again",
    looks: [
      [50n, 5n],
      [59n, 0n],
      [60n, 0n],
    ],
    arrives: undefined,
  },
  {
    name: "a receiver alone can say that something comes",
    looks: [
      [undefined, 5n],
      [undefined, 6n],
    ],
    arrives: true,
  },
  {
    name: "but not that nothing does",
    looks: [
      [undefined, 5n],
      [undefined, 5n],
    ],
    arrives: undefined,
  },
  {
    name: "a receiver that nobody asks",
    looks: [
      [5n, undefined],
      [50n, undefined],
    ],
    arrives: undefined,
  },
] as const;

for (const { name, looks, arrives } of cases) test(name, () => expect(after(looks)).toBe(arrives));

test("what came long ago says nothing any more", () => {
  expect(
    after(
      [
        [5n, 5n],
        [6n, 6n],
      ],
      19_000,
    ),
  ).toBe(true);
  expect(
    after(
      [
        [5n, 5n],
        [6n, 6n],
      ],
      21_000,
    ),
  ).toBe(undefined);
});

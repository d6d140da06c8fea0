import { expect, test } from "vitest";
import { seededRandom } from "../base/backoff.ts";
import { macBytes, macFromBytes, parseMac, randomMac } from "./mac.ts";

test.each([
  ["52:34:41:6f:b6:4d", "52:34:41:6f:b6:4d"],
  ["52-34-41-6F-B6-4D", "52:34:41:6f:b6:4d"],
  ["5234.416f.b64d", "52:34:41:6f:b6:4d"],
])("parseMac reads %s", (text, mac) => expect(parseMac(text)).toBe(mac));

test.each(["", "52:34:41:6f:b6", "52:34:41:6f:b6:4d:00", "52:34-41:6f:b6:4d", "5g:34:41:6f:b6:4d", "5234416fb64d"])(
  "parseMac refuses %j",
  (text) => expect(parseMac(text)).toBeUndefined(),
);

test("a random MAC is unicast, locally administered, and survives its bytes", () => {
  const random = seededRandom(1);
  for (let i = 0; i < 200; i++) {
    const mac = randomMac(random);
    expect((macBytes(mac)[0] ?? 0) & 0b11).toBe(0b10);
    expect(macFromBytes(macBytes(mac))).toBe(mac);
    expect(parseMac(mac)).toBe(mac);
  }
});

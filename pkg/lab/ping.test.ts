import { expect, test } from "vitest";
import { lostPackets, parsePing } from "./ping.ts";

const cases = [
  {
    name: "all replies",
    text: "3 packets transmitted, 3 received, 0% packet loss, time 402ms rtt min/avg/max/mdev = 0.040/0.053/0.071/0.013 ms",
    result: { sent: 3, received: 3, rtt: 0.053 },
  },
  {
    name: "no reply",
    text: "3 packets transmitted, 0 received, 100% packet loss, time 2034ms",
    result: { sent: 3, received: 0, rtt: undefined },
  },
  {
    name: "errors in place of replies",
    text: "3 packets transmitted, 1 received, +2 errors, 66.6667% packet loss, time 2ms rtt min/avg/max/mdev = 1.5/1.5/1.5/0.000 ms",
    result: { sent: 3, received: 1, rtt: 1.5 },
  },
  {
    name: "a ping that could not send",
    text: "ping: connect: Network is unreachable",
    result: { sent: 3, received: 0, rtt: undefined },
  },
];

for (const { name, text, result } of cases) {
  test(`parsePing reads ${name}`, () => expect(parsePing(text, 3)).toEqual(result));
}

test("lostPackets counts over the whole matrix and leaves out pings to oneself", () => {
  const results = [
    [undefined, { sent: 3, received: 1, rtt: 1 }],
    [{ sent: 3, received: 3, rtt: 1 }, undefined],
  ];
  expect(lostPackets({ sources: ["a", "b"], targets: ["a", "b"], results })).toEqual({ sent: 6, lost: 2 });
});

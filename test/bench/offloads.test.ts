import { expect, test } from "vitest";
import { parseFeatures } from "./offloads.ts";

test("ethtool's list becomes the arguments that restore it", () => {
  const text = `Features for eth0:
rx-checksumming: on
tx-checksumming: on
\ttx-checksum-ipv4: off [fixed]
scatter-gather: on
tcp-segmentation-offload: on
\ttx-tcp-segmentation: on
generic-segmentation-offload: on
generic-receive-offload: off
`;
  expect(parseFeatures(text, "eth0")).toEqual(["tx", "on", "tso", "on", "gso", "on", "gro", "off"]);
  expect(() => parseFeatures("Features for eth0:\n", "eth0")).toThrow(
    "ethtool does not tell the feature tx-checksumming of eth0",
  );
});

import { expect, test } from "vitest";
import { nearest } from "./nearest.ts";

const FLAGS = ["iface", "iface-regex", "etcd-endpoints", "etcd-prefix", "public-ip", "v"];

const cases = [
  { word: "etcd-endpoint", meant: "etcd-endpoints" },
  { word: "etcd-enpdoints", meant: "etcd-endpoints" },
  { word: "pubilc-ip", meant: "public-ip" },
  { word: "ifacee", meant: "iface" },
  { word: "etcd_prefix", meant: "etcd-prefix" },
  { word: "w", meant: "v" },
  { word: "kubeconfig", meant: undefined },
];

for (const { word, meant } of cases) {
  test(`${JSON.stringify(word)} most likely means ${meant}`, () => expect(nearest(word, FLAGS)).toBe(meant));
}

test("of two candidates the nearer is taken", () => expect(nearest("abcdxy", ["abcd", "abcdx"])).toBe("abcdx"));

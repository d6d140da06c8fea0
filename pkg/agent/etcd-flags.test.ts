import { expect, test } from "vitest";
import { FLAGS } from "./flag-table.ts";
import { readEtcdConfig } from "./etcd-flags.ts";
import { Settings } from "./settings.ts";

function read(values: Readonly<Record<string, string>>): {
  settings: Settings;
  etcd: ReturnType<typeof readEtcdConfig>;
} {
  const given = Object.entries(values).map(([name, value]) => ({ name, value }));
  const settings = new Settings(
    FLAGS.map((flag) => flag.name),
    given,
    {},
  );
  return { settings, etcd: readEtcdConfig(settings) };
}

const endpoints = [
  { text: "http://10.0.0.1:2379", urls: ["http://10.0.0.1:2379"] },
  { text: "http://10.0.0.1:2379/, http://etcd-2:2379,", urls: ["http://10.0.0.1:2379", "http://etcd-2:2379"] },
  { text: "https://[2001:db8::1]:2379", urls: ["https://[2001:db8::1]:2379"] },
  { text: "10.0.0.1:2379,[::1]:2379", urls: ["http://10.0.0.1:2379", "http://[::1]:2379"] },
];

for (const { text, urls } of endpoints) {
  test(`endpoints ${text} are ${urls.join(" ")}`, () => {
    const { settings, etcd } = read({ "etcd-endpoints": text });
    expect(etcd.endpoints).toEqual(urls);
    expect(settings.problems).toEqual([]);
  });
}

test("an endpoint without a scheme is https where TLS files are given", () => {
  expect(read({ "etcd-endpoints": "a:1", "etcd-cafile": "/ca.pem" }).etcd.endpoints).toEqual(["https://a:1"]);
});

const badEndpoints = [
  "http://10.0.0.1",
  "http://10.0.0.1:0",
  "http://10.0.0.1:99999",
  "ftp://10.0.0.1:2379",
  "http://user:pw@10.0.0.1:2379",
  "http://10.0.0.1:2379/v3",
  "http://10.0.0.999:2379",
  "http://[10.0.0.1]:2379",
  "not a host:2379",
];

for (const text of badEndpoints) {
  test(`endpoint ${text} is refused`, () => {
    expect(read({ "etcd-endpoints": text }).settings.problems).toEqual([
      `--etcd-endpoints is "${text}": "${text}" is no endpoint: give scheme, host and port, as http://10.0.0.1:2379`,
    ]);
  });
}

test("endpoints of both schemes are refused", () => {
  expect(read({ "etcd-endpoints": "http://a:1,https://b:1" }).settings.problems).toEqual([
    '--etcd-endpoints is "http://a:1,https://b:1": give endpoints that are either all http:// or all https://',
  ]);
});

test("only commas are no endpoints", () => {
  expect(read({ "etcd-endpoints": " , " }).settings.problems).toEqual([
    '--etcd-endpoints is " , ": give at least one URL, as http://10.0.0.1:2379',
  ]);
});

const prefixes = [
  { text: "/coreos.com/network/", prefix: "/coreos.com/network" },
  { text: "//a/./b//c", prefix: "/a/b/c" },
  // flannel's key then has no leading slash either.
  { text: "coreos.com/network", prefix: "coreos.com/network" },
  { text: "/", prefix: "" },
];

for (const { text, prefix } of prefixes) {
  test(`prefix ${text} is ${JSON.stringify(prefix)}`, () => {
    expect(read({ "etcd-prefix": text }).etcd.prefix).toBe(prefix);
  });
}

test("a prefix that leads nowhere is refused", () => {
  expect(read({ "etcd-prefix": "a/.." }).settings.problems).toEqual([
    '--etcd-prefix is "a/..": give a key, as /coreos.com/network',
  ]);
});

test("halves without their other half are refused, the password unseen", () => {
  expect(read({ "etcd-certfile": "/c", "etcd-password": "s3cret" }).settings.problems).toEqual([
    "--etcd-certfile is given without --etcd-keyfile: give both or neither",
    "--etcd-password is given without --etcd-username: give both or neither",
  ]);
  expect(read({ "etcd-keyfile": "/k", "etcd-username": "u" }).settings.problems).toEqual([
    "--etcd-keyfile is given without --etcd-certfile: give both or neither",
    "--etcd-username is given without --etcd-password: give both or neither",
  ]);
});

test("TLS files beside http:// endpoints are warned of", () => {
  const { settings } = read({ "etcd-endpoints": "http://a:1", "etcd-certfile": "/c", "etcd-keyfile": "/k" });
  expect(settings.problems).toEqual([]);
  expect(settings.warnings).toEqual([
    "--etcd-certfile has no effect: the etcd endpoints are http://, so nothing is encrypted",
  ]);
});

test("all settings arrive", () => {
  const { etcd } = read({
    "etcd-endpoints": "https://a:1",
    "etcd-cafile": "/ca",
    "etcd-certfile": "/c",
    "etcd-keyfile": "/k",
    "etcd-username": "u",
    "etcd-password": "p",
  });
  expect(etcd).toEqual({
    endpoints: ["https://a:1"],
    prefix: "/coreos.com/network",
    caFile: "/ca",
    certFile: "/c",
    keyFile: "/k",
    username: "u",
    password: "p",
  });
});

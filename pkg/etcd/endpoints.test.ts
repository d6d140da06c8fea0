import { expect, test } from "vitest";
import { ConfigError } from "../base/errors.ts";
import { parseEndpoints } from "./endpoints.ts";

const good = [
  { from: ["http://a:2379"], hosts: ["a:2379"], tls: false },
  { from: ["http://127.0.0.1:4001,http://127.0.0.1:2379"], hosts: ["127.0.0.1:4001", "127.0.0.1:2379"], tls: false },
  { from: ["https://a:2379/", " https://b:2379 "], hosts: ["a:2379", "b:2379"], tls: true },
  { from: ["a:2379,b"], hosts: ["a:2379", "b:2379"], tls: false },
  { from: ["http://[fd00::1]:2379", "http://[fd00::2]"], hosts: ["[fd00::1]:2379", "[fd00::2]:2379"], tls: false },
  { from: ["https://a:443", "https://b"], hosts: ["a:443", "b:2379"], tls: true },
  { from: ["http://a:80/"], hosts: ["a:80"], tls: false },
  { from: ["http://a:2379", "http://a:2379/", ""], hosts: ["a:2379"], tls: false },
];
for (const { from, hosts, tls } of good) {
  test(`parseEndpoints reads ${from.join(" ")}`, () => {
    expect(parseEndpoints(from, false)).toEqual({ hosts, tls });
  });
}

test("an endpoint without a scheme speaks TLS when a certificate is named, one with http:// does not", () => {
  expect(parseEndpoints(["a:2379"], true).tls).toBe(true);
  expect(parseEndpoints(["http://a:2379"], true).tls).toBe(false);
});

const bad = [
  { from: [""], says: "no etcd endpoint is given" },
  { from: ["http://"], says: '"http://" is not an address' },
  { from: ["unix:///run/etcd.sock"], says: '"unix:///run/etcd.sock" is not an address' },
  { from: ["http://a:99999"], says: '"http://a:99999" is not an address' },
  { from: ["http://a:2379/v2"], says: '"http://a:2379/v2" has a path' },
  { from: ["http://root:secret@a:2379"], says: '"a:2379" holds a user name' },
  { from: ["http://a:2379", "https://b:2379"], says: "mix http and https" },
];
for (const { from, says } of bad) {
  test(`parseEndpoints refuses "${from.join(" ")}" in one sentence`, () => {
    expect(() => parseEndpoints(from, false)).toThrow(ConfigError);
    expect(() => parseEndpoints(from, false)).toThrow(says);
  });
}

test("every bad endpoint is named at once", () => {
  expect(() => parseEndpoints(["ftp://a", "http://b/x"], false)).toThrow(/ftp:\/\/a.*http:\/\/b\/x/);
});

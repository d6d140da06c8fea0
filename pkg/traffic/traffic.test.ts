import { expect, test } from "vitest";

import { type Prefix, parsePrefix } from "../addr/prefix.ts";
import { MemoryLogger } from "../base/logger.ts";
import { MemoryHost } from "../host/memory-host.ts";

import { Traffic, type TrafficWant, removeTraffic } from "./traffic.ts";

const want: TrafficWant = {
  network: { 4: prefix("10.5.0.0/16") },
  own: { 4: prefix("10.5.52.0/24") },
  ipMasq: true,
  randomFully: true,
  forwardRules: true,
  devices: [],
};
const dual: TrafficWant = {
  ...want,
  network: { ...want.network, 6: prefix("fd05::/56") },
  own: { ...want.own, 6: prefix("fd05:0:0:1b::/64") },
};

test("writes the masquerade rules once and then leaves them alone", async () => {
  const { host, log, traffic } = make();
  expect(await traffic.reconcile(want)).toEqual([]);
  expect(await traffic.reconcile(want)).toEqual([]);
  expect(log.lines.map((line) => [line.level, line.sentence, line.fields])).toEqual([
    ["info", "masquerade rules written", { family: 4 }],
  ]);
  expect(await host.nftTable("ip", "twill")).toHaveLength(1);
  expect(await host.nftTable("ip6", "twill")).toBeUndefined();
});

test("each family has a table of its own", async () => {
  const { host, traffic } = make();
  await traffic.reconcile(dual);
  expect(JSON.stringify(await host.nftTable("ip", "twill"))).toContain("10.5.52.0");
  expect(JSON.stringify(await host.nftTable("ip6", "twill"))).toContain("fd05:0:0:1b::");
  await traffic.reconcile(want);
  expect(await host.nftTable("ip6", "twill")).toBeUndefined();
});

test("puts masquerade rules back that somebody flushed or changed, and says so once", async () => {
  const { host, log, traffic } = make();
  await traffic.reconcile(want);
  const right = await host.nftTable("ip", "twill");
  for (const spoiled of [undefined, [], right?.map((chain) => ({ ...chain, rules: chain.rules.slice(1) }))]) {
    log.lines.length = 0;
    await host.setNftTable("ip", "twill", spoiled);
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(await host.nftTable("ip", "twill")).toEqual(right);
    expect(log.sentences("warn")).toEqual(["masquerade rules had been changed by somebody else, put back"]);
  }
});

test("a want that changed is no repair", async () => {
  const { host, log, traffic } = make();
  await traffic.reconcile(want);
  await traffic.reconcile({ ...want, own: { 4: prefix("10.5.77.0/24") } });
  expect(JSON.stringify(await host.nftTable("ip", "twill"))).toContain("10.5.77.0");
  expect(log.sentences("info")).toEqual(["masquerade rules written", "masquerade rules written"]);
  expect(log.sentences("warn")).toEqual([]);
});

test("without --ip-masq there are no masquerade rules, also none of an earlier run", async () => {
  const { host, log, traffic } = make();
  await host.setNftTable("ip", "twill", []);
  expect(await traffic.reconcile({ ...want, ipMasq: false })).toEqual([]);
  expect(await host.nftTable("ip", "twill")).toBeUndefined();
  expect(log.sentences("info")).toEqual(["masquerade rules removed"]);
});

test("source ports are picked fully at random unless that is switched off", async () => {
  const { host, traffic } = make();
  await traffic.reconcile(want);
  expect(JSON.stringify(await host.nftTable("ip", "twill"))).toContain('{"masquerade":{"flags":"fully-random"}}');
  await traffic.reconcile({ ...want, randomFully: false });
  expect(JSON.stringify(await host.nftTable("ip", "twill"))).not.toContain("fully-random");
});

test("the rules in their order", async () => {
  const { host, traffic } = make();
  await traffic.reconcile(dual);
  const words = async (family: "ip" | "ip6"): Promise<string[]> =>
    (await host.nftTable(family, "twill"))?.flatMap((chain) => chain.rules.map(ruleWords)) ?? [];
  expect(await words("ip")).toEqual([
    "mark&16384 == 16384 return",
    "ip saddr == 10.5.52.0/24 ip daddr == 10.5.0.0/16 return",
    "ip saddr == 10.5.0.0/16 ip daddr == 10.5.52.0/24 return",
    "ip saddr != 10.5.0.0/16 ip daddr == 10.5.52.0/24 return",
    "ip saddr == 10.5.0.0/16 ip daddr != 224.0.0.0/4 masquerade",
    "ip saddr != 10.5.0.0/16 ip daddr == 10.5.0.0/16 masquerade",
  ]);
  expect((await words("ip6"))[4]).toBe("ip6 saddr == fd05::/56 ip6 daddr != ff00::/8 masquerade");
});

test("accepts pods in every iptables variant that is in use, and in no other", async () => {
  const { host, log, traffic } = make();
  host.iptables(4, "nft").policy = "DROP";
  host.iptables(4, "legacy").forward.push("-j DROP");
  expect(await traffic.reconcile(dual)).toEqual([]);
  expect(await traffic.reconcile(dual)).toEqual([]);
  for (const variant of ["nft", "legacy"] as const) {
    const table = host.iptables(4, variant);
    expect(table.forward[0]).toBe("-j TWILL-FWD");
    expect(table.chains.get("TWILL-FWD")).toEqual([
      "-s 10.5.0.0/16 -m comment --comment twill: pods -j ACCEPT",
      "-d 10.5.0.0/16 -m comment --comment twill: pods -j ACCEPT",
    ]);
  }
  expect(host.iptables(6, "nft").chains.size).toBe(0);
  expect(log.sentences("info").filter((sentence) => sentence.startsWith("forward"))).toEqual([
    "forward rules written",
    "forward rules written",
  ]);
});

test("notices a policy that changes later, and a chain that somebody spoils", async () => {
  const { host, log, traffic } = make();
  await traffic.reconcile(want);
  const table = host.iptables(4, "nft");
  table.policy = "DROP";
  await traffic.reconcile(want);
  expect(table.forward).toEqual(["-j TWILL-FWD"]);
  expect(log.sentences("warn")).toEqual([]);
  table.forward.unshift("-j DOCKER-USER");
  table.chains.get("TWILL-FWD")?.pop();
  await traffic.reconcile(want);
  expect(table.forward).toEqual(["-j TWILL-FWD", "-j DOCKER-USER"]);
  expect(table.chains.get("TWILL-FWD")).toHaveLength(2);
  expect(log.sentences("warn")).toEqual(["forward rules had been changed by somebody else, put back"]);
});

test("without forward rules, those of an earlier run go", async () => {
  const { host, traffic } = make();
  host.iptables(4, "nft").policy = "DROP";
  await traffic.reconcile(want);
  await traffic.reconcile({ ...want, forwardRules: false });
  expect(host.iptables(4, "nft").forward).toEqual([]);
  expect(host.iptables(4, "nft").chains.size).toBe(0);
});

test("what fails is told in a sentence and does not stop the rest", async () => {
  const { host, traffic } = make();
  host.iptables(4, "nft").policy = "DROP";
  host.failNext("setNftTable", "Operation not permitted");
  expect(await traffic.reconcile(want)).toEqual([
    "cannot masquerade pods over IPv4: cannot write the nftables table ip twill: Operation not permitted",
  ]);
  expect(host.iptables(4, "nft").forward).toEqual(["-j TWILL-FWD"]);
  host.failNext("iptablesInUse", "iptables-legacy (package iptables) is not installed: apt install iptables");
  expect(await traffic.reconcile(want)).toEqual([
    "cannot accept pods' IPv4 traffic in FORWARD: iptables-legacy (package iptables) is not installed: apt install iptables",
  ]);
  expect(await host.nftTable("ip", "twill")).toHaveLength(1);
  expect(await traffic.reconcile(want)).toEqual([]);
});

test("a chain of somebody else that drops is named once, and again when it comes back", async () => {
  const { host, log, traffic } = make();
  host.forwardChains.push({ name: "inet firewall forward", policy: "drop" });
  await traffic.reconcile(dual);
  await traffic.reconcile(dual);
  const warned = (): unknown[] => log.lines.filter((line) => line.level === "warn").map((line) => line.fields);
  expect(warned()).toEqual([
    { family: 4, chain: "inet firewall forward" },
    { family: 6, chain: "inet firewall forward" },
  ]);
  expect(traffic.doubts).toEqual([
    "the nftables chain inet firewall forward drops what pods forward: it must accept them itself",
  ]);
  host.forwardChains.pop();
  await traffic.reconcile(dual);
  expect(traffic.doubts).toEqual([]);
  host.forwardChains.push({ name: "ip filter forward", policy: "drop" });
  await traffic.reconcile(dual);
  expect(warned()).toHaveLength(3);
});

test("a chain that drops, in a table that speaks of the pods, is taken to let them through", async () => {
  const { host, log, traffic } = make();
  for (const text of ['{"prefix":{"addr":"10.5.0.0","len":16}}', '{"right":"cni0"}'])
    host.forwardChains.push({ name: "ip firewall forward", policy: "drop", text });
  await traffic.reconcile(want);
  expect([traffic.doubts, log.sentences("warn")]).toEqual([[], []]);
});

test("removeTraffic leaves nothing", async () => {
  const { host, traffic } = make();
  host.iptables(4, "nft").policy = "DROP";
  host.iptables(6, "legacy").policy = "DROP";
  await traffic.reconcile(dual);
  expect(await removeTraffic(host)).toEqual([]);
  expect(await host.nftTable("ip", "twill")).toBeUndefined();
  expect(await host.nftTable("ip6", "twill")).toBeUndefined();
  expect(host.iptables(4, "nft")).toMatchObject({ forward: [], chains: new Map() });
  expect(host.iptables(6, "legacy")).toMatchObject({ forward: [], chains: new Map() });
});

test("removeTraffic tells what it could not remove, and removes the rest", async () => {
  const { host, traffic } = make();
  await traffic.reconcile(dual);
  host.failNext("setNftTable", "Operation not permitted");
  expect(await removeTraffic(host)).toEqual([
    "cannot remove the IPv4 masquerade rules: cannot delete the nftables table ip twill: Operation not permitted",
  ]);
  expect(await host.nftTable("ip6", "twill")).toBeUndefined();
});

test("takes flannel's rules over once, after its own are in place", async () => {
  const { host, log, traffic } = make();
  const table = host.iptables(4, "legacy");
  const leave = (): void => {
    table.forward.push("-m comment --comment flanneld forward -j FLANNEL-FWD");
    table.postrouting.push("-m comment --comment flanneld masq -j FLANNEL-POSTRTG");
    table.chains.set("FLANNEL-FWD", []).set("FLANNEL-POSTRTG", []);
  };
  leave();
  await host.setNftTable("ip6", "flannel-ipv6", []);
  host.failNext("setNftTable", "Operation not permitted", 3);
  expect(await traffic.reconcile(dual)).toHaveLength(3);
  expect(await traffic.reconcile(dual)).toEqual([]);
  expect(table.forward).toEqual(["-j TWILL-FWD"]);
  expect(table.postrouting).toEqual([]);
  expect([...table.chains.keys()]).toEqual(["TWILL-FWD"]);
  expect(await host.nftTable("ip6", "flannel-ipv6")).toBeUndefined();
  const said = log.lines.filter((line) => line.sentence === "removed what flannel has left");
  expect(said.map(({ fields }) => fields["rules"])).toEqual([
    "FLANNEL-FWD of iptables-legacy",
    "FLANNEL-POSTRTG of iptables-legacy",
    "table ip6 flannel-ipv6",
  ]);
  leave();
  await traffic.reconcile(dual);
  expect(table.chains.has("FLANNEL-FWD")).toBe(true);
  expect(await removeTraffic(host)).toEqual([]);
  expect([...table.chains.keys()]).toEqual([]);
});

function make(): { readonly host: MemoryHost; readonly log: MemoryLogger; readonly traffic: Traffic } {
  const host = new MemoryHost();
  const log = new MemoryLogger();
  return { host, log, traffic: new Traffic({ host, log }) };
}

interface Expr {
  readonly match?: { readonly op: string; readonly left: unknown; readonly right: unknown };
}

// A rule of nft's JSON as people write it.
function ruleWords(rule: readonly object[]): string {
  return rule
    .map((expr: Expr) => {
      if (!expr.match) return Object.keys(expr).join(" ");
      const left = JSON.stringify(expr.match.left)
        .replace(/^.*"protocol":"(\w+)","field":"(\w+)".*$/, "$1 $2")
        .replace(/^.*"key":"mark".*?(\d+).*$/, "mark&$1");
      const right = JSON.stringify(expr.match.right).replace(/^.*"addr":"(.*)","len":(\d+).*$/, "$1/$2");
      return `${left} ${expr.match.op} ${right}`;
    })
    .join(" ");
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(`${text} is no prefix`);
  return parsed;
}

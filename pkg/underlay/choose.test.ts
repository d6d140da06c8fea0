import { describe, expect, test } from "vitest";

import { type Addr, formatAddr, parseAddr } from "../addr/addr.ts";
import { type Family, mapFamilies } from "../addr/family.ts";
import { parsePrefix } from "../addr/prefix.ts";
import { ConfigError } from "../base/errors.ts";

import { type AddrRow, type LinkRow, type RouteRow, type UnderlayChoice, chooseUnderlay } from "./choose.ts";

// A Vagrant box: the default route leads through eth0, whose address is the same on every box; the nodes' network is eth1.
const vagrant = [
  link("lo", 1, ["127.0.0.1", "::1"], 65_536),
  link("eth0", 2, [row("10.0.2.15", { dynamic: true }), "fd00::15", row("fe80::15", { scope: "link" })]),
  link("eth1", 3, ["192.168.56.11", "fd56::11", row("fe80::11", { scope: "link" })], 9000),
  link("eth2", 4, []),
];
const viaEth0 = { 4: [defaultRoute("eth0")], 6: [defaultRoute("eth0")] };
const rows = { links: vagrant, routes: viaEth0 };

describe("the order of choice", () => {
  const cases: readonly {
    name: string;
    choice: Partial<UnderlayChoice>;
    reach?: { dev: string; src: Addr | undefined };
    chosen: string;
    because: string;
  }[] = [
    {
      name: "nothing given: the default route",
      choice: {},
      chosen: "eth0 10.0.2.15",
      because: "it carries the default route",
    },
    { name: "--iface by name", choice: { iface: ["eth1"] }, chosen: "eth1 192.168.56.11", because: "--iface names it" },
    {
      name: "--iface by address",
      choice: { iface: ["192.168.56.11"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface 192.168.56.11 is its address",
    },
    {
      name: "the first --iface that is there",
      choice: { iface: ["ens3", "eth1", "eth0"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface names it",
    },
    {
      name: "an --iface without address is passed over",
      choice: { iface: ["eth2", "eth1"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface names it",
    },
    {
      name: "--iface-regex on an address",
      choice: { ifaceRegex: [String.raw`^192\.168\.`] },
      chosen: "eth1 192.168.56.11",
      because: String.raw`--iface-regex ^192\.168\. matches its address 192.168.56.11`,
    },
    {
      name: "--iface-regex on a name",
      choice: { ifaceRegex: ["^eth[1-9]$"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface-regex ^eth[1-9]$ matches its name",
    },
    {
      name: "--iface-regex: every address before any name",
      choice: { ifaceRegex: ["eth0|56"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface-regex eth0|56 matches its address 192.168.56.11",
    },
    {
      name: "--iface-regex in Go's case-blind form",
      choice: { ifaceRegex: ["(?i)^ETH1$"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface-regex (?i)^ETH1$ matches its name",
    },
    {
      name: "--iface-regex: the second when the first hits nothing",
      choice: { ifaceRegex: ["^ens", "eth1"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface-regex eth1 matches its name",
    },
    {
      name: "--iface before --iface-regex",
      choice: { iface: ["eth1"], ifaceRegex: ["eth0"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface names it",
    },
    {
      name: "--iface-regex where --iface hits nothing",
      choice: { iface: ["ens3"], ifaceRegex: ["eth1"] },
      chosen: "eth1 192.168.56.11",
      because: "--iface-regex eth1 matches its name",
    },
    {
      name: "--iface-can-reach",
      choice: { ifaceCanReach: addr("192.168.56.1") },
      reach: { dev: "eth1", src: addr("192.168.56.11") },
      chosen: "eth1 192.168.56.11",
      because: "the way to 192.168.56.1 leads through it",
    },
    {
      name: "--iface-can-reach to an address of our own",
      choice: { ifaceCanReach: addr("192.168.56.11") },
      reach: { dev: "lo", src: addr("192.168.56.11") },
      chosen: "eth1 192.168.56.11",
      because: "the way to 192.168.56.11 leads through it",
    },
    {
      name: "--iface before --iface-can-reach",
      choice: { iface: ["eth0"], ifaceCanReach: addr("192.168.56.1") },
      reach: { dev: "eth1", src: addr("192.168.56.11") },
      chosen: "eth0 10.0.2.15",
      because: "--iface names it",
    },
    {
      name: "the holder of --public-ip",
      choice: { publicIp: { 4: addr("192.168.56.11") } },
      chosen: "eth1 192.168.56.11",
      because: "it holds the public address 192.168.56.11",
    },
  ];
  for (const { name, choice, reach, chosen, because } of cases) {
    test(name, () => {
      const result = chooseUnderlay({ ...rows, reach }, said(choice), [4]);
      expect(`${result.underlay.name} ${show(result.underlay.addr[4])}`).toBe(chosen);
      expect(result.because).toBe(because);
    });
  }
});

test("index and MTU are the interface's", () => {
  const { underlay } = chooseUnderlay(rows, said({ iface: ["eth1"] }), [4]);
  expect(underlay).toMatchObject({ name: "eth1", index: 3, mtu: 9000 });
});

describe("the public address", () => {
  test("is the interface's own unless said otherwise", () => {
    const { underlay } = chooseUnderlay(rows, said({ iface: ["eth1"] }), [4]);
    expect(show(underlay.publicIp[4])).toBe("192.168.56.11");
  });

  test("behind one-to-one NAT is what --public-ip says, and the interface that of the default route", () => {
    const { underlay, because } = chooseUnderlay(rows, said({ publicIp: { 4: addr("203.0.113.7") } }), [4]);
    expect(underlay.name).toBe("eth0");
    expect(because).toBe("it carries the default route");
    expect(show(underlay.addr[4])).toBe("10.0.2.15");
    expect(show(underlay.publicIp[4])).toBe("203.0.113.7");
  });

  test("of a family that is not in use is left out", () => {
    const { underlay } = chooseUnderlay(rows, said({ publicIp: { 6: addr("fd56::11") } }), [4]);
    expect(underlay.name).toBe("eth0");
    expect(Object.keys(underlay.publicIp)).toEqual(["4"]);
  });
});

describe("the address on the interface", () => {
  const cases: readonly { name: string; family: Family; addresses: readonly AddrRow[]; chosen: string }[] = [
    {
      name: "global before link-local",
      family: 6,
      addresses: [row("fe80::1", { scope: "link" }), row("2001:db8::1")],
      chosen: "2001:db8::1",
    },
    {
      name: "IPv4 link-local only when there is no other",
      family: 4,
      addresses: [row("169.254.7.7", { scope: "link" })],
      chosen: "169.254.7.7",
    },
    {
      name: "permanent before dynamic",
      family: 6,
      addresses: [row("2001:db8::1", { dynamic: true }), row("2001:db8::2")],
      chosen: "2001:db8::2",
    },
    {
      name: "stable before temporary",
      family: 6,
      addresses: [row("2001:db8::1", { dynamic: true, temporary: true }), row("2001:db8::2", { dynamic: true })],
      chosen: "2001:db8::2",
    },
    {
      name: "global and dynamic before link-local and permanent",
      family: 4,
      addresses: [row("169.254.1.1", { scope: "link" }), row("10.0.0.9", { dynamic: true })],
      chosen: "10.0.0.9",
    },
    {
      name: "never a deprecated one",
      family: 6,
      addresses: [row("2001:db8::1", { deprecated: true }), row("fe80::1", { scope: "link" })],
      chosen: "fe80::1",
    },
    {
      name: "the kernel's order among equals",
      family: 4,
      addresses: [row("10.0.0.2"), row("10.0.0.1")],
      chosen: "10.0.0.2",
    },
    {
      name: "a global address on lo, as of a host that speaks BGP",
      family: 4,
      addresses: [row("127.0.0.1", { scope: "host" }), row("10.255.0.1")],
      chosen: "10.255.0.1",
    },
  ];
  for (const { name, family, addresses, chosen } of cases) {
    test(name, () => {
      const links = [{ index: 2, name: "eth0", mtu: 1500, addresses }];
      const { underlay } = chooseUnderlay({ links, routes: {} }, said({ iface: ["eth0"] }), [family]);
      expect(show(underlay.addr[family])).toBe(chosen);
    });
  }

  test("the one that was named beats every preference", () => {
    const links = [link("eth0", 2, ["10.0.0.1", row("10.0.0.2", { dynamic: true })])];
    const { underlay } = chooseUnderlay({ links, routes: {} }, said({ iface: ["10.0.0.2"] }), [4]);
    expect(show(underlay.addr[4])).toBe("10.0.0.2");
  });

  test("the one that the regular expression matched beats every preference", () => {
    const links = [link("eth0", 2, ["10.0.0.1", row("10.0.1.2", { dynamic: true })])];
    const { underlay } = chooseUnderlay({ links, routes: {} }, said({ ifaceRegex: [String.raw`^10\.0\.1\.`] }), [4]);
    expect(show(underlay.addr[4])).toBe("10.0.1.2");
  });
});

describe("default routes", () => {
  test("the one of the lowest metric", () => {
    const routes = { 4: [defaultRoute("eth0", 600), defaultRoute("eth1", 100)] };
    expect(chooseUnderlay({ links: vagrant, routes }, said({}), [4]).underlay.name).toBe("eth1");
  });

  test("0.0.0.0/0 is one too, other destinations are none", () => {
    const routes = {
      4: [
        { dst: parsePrefix("192.168.56.0/24"), dev: "eth0" },
        { dst: parsePrefix("0.0.0.0/0"), dev: "eth1" },
      ],
    };
    expect(chooseUnderlay({ links: vagrant, routes }, said({}), [4]).underlay.name).toBe("eth1");
  });

  test("IPv6 alone looks at IPv6 alone", () => {
    const routes = { 4: [defaultRoute("eth0")], 6: [defaultRoute("eth1", 1024)] };
    const { underlay } = chooseUnderlay({ links: vagrant, routes }, said({}), [6]);
    expect(underlay.name).toBe("eth1");
    expect(mapFamilies(underlay.publicIp, formatAddr)).toEqual({ 6: "fd56::11" });
  });
});

describe("dual stack", () => {
  test("both addresses are of one interface", () => {
    const { underlay } = chooseUnderlay(rows, said({ iface: ["fd56::11"] }), [4, 6]);
    expect(mapFamilies(underlay.addr, formatAddr)).toEqual({ 4: "192.168.56.11", 6: "fd56::11" });
  });

  test("does without an IPv6 default route where the interface has an IPv6 address", () => {
    const { underlay } = chooseUnderlay({ links: vagrant, routes: { 4: [defaultRoute("eth0")] } }, said({}), [4, 6]);
    expect(mapFamilies(underlay.addr, formatAddr)).toEqual({ 4: "10.0.2.15", 6: "fd00::15" });
  });

  test("refuses default routes through two interfaces", () => {
    const routes = { 4: [defaultRoute("eth0")], 6: [defaultRoute("eth1")] };
    expect(problem(() => chooseUnderlay({ links: vagrant, routes }, said({}), [4, 6]))).toBe(
      "cannot choose the interface for traffic between nodes: the IPv4 default route leads through eth0 and the IPv6 " +
        "default route through eth1, but both families must share one interface. This host has eth0 (10.0.2.15, " +
        "fd00::15, fe80::15), eth1 (192.168.56.11, fd56::11, fe80::11): name the right one with --iface",
    );
  });
});

describe("what cannot be chosen is said", () => {
  const links = [link("eth0", 2, ["10.0.0.1"]), link("eth1", 3, [])];
  const has = "This host has eth0 (10.0.0.1): name the right one with --iface";
  const cases: readonly { choice: Partial<UnderlayChoice>; families?: readonly Family[]; says: string }[] = [
    { choice: {}, says: `there is no IPv4 default route. ${has}` },
    { choice: { iface: ["ens3"] }, says: `there is no interface ens3 (--iface). ${has}` },
    { choice: { iface: ["10.0.0.9"] }, says: `no interface has the address 10.0.0.9 (--iface). ${has}` },
    { choice: { iface: ["eth1"] }, says: `eth1 (--iface names it) has no usable IPv4 address. ${has}` },
    {
      choice: { iface: ["eth0"] },
      families: [4, 6],
      says: `eth0 (--iface names it) has no usable IPv6 address. ${has}`,
    },
    { choice: { ifaceRegex: ["^ens"] }, says: `--iface-regex ^ens matches neither an address nor a name. ${has}` },
    { choice: { ifaceCanReach: addr("10.9.9.9") }, says: `there is no route to 10.9.9.9 (--iface-can-reach). ${has}` },
    {
      choice: { iface: ["ens3"], ifaceRegex: ["^wl"] },
      says: `there is no interface ens3 (--iface); --iface-regex ^wl matches neither an address nor a name. ${has}`,
    },
  ];
  for (const { choice, families, says } of cases) {
    test(says, () => {
      expect(problem(() => chooseUnderlay({ links, routes: {} }, said(choice), families ?? [4]))).toBe(
        `cannot choose the interface for traffic between nodes: ${says}`,
      );
    });
  }

  test("a host without addresses", () => {
    const bare = [link("lo", 1, ["127.0.0.1"])];
    expect(problem(() => chooseUnderlay({ links: bare, routes: {} }, said({}), [4]))).toContain(
      "This host has no interface with a usable address",
    );
  });

  test("a default route through an interface that has just gone", () => {
    const routes = { 4: [defaultRoute("ppp0")] };
    expect(problem(() => chooseUnderlay({ links, routes }, said({}), [4]))).toContain(
      "the default route leads through ppp0, which is gone",
    );
  });

  test("a broken regular expression, even where an earlier choice hits", () => {
    const says = problem(() =>
      chooseUnderlay({ links, routes: {} }, said({ iface: ["eth0"], ifaceRegex: ["eth(0"] }), [4]),
    );
    expect(says).toMatch(
      /^--iface-regex eth\(0 is not a regular expression \(.*\): correct it, or name the interface with --iface$/,
    );
  });
});

function said(choice: Partial<UnderlayChoice>): UnderlayChoice {
  return { iface: [], ifaceRegex: [], ifaceCanReach: undefined, publicIp: {}, ...choice };
}

function problem(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join("\n");
    throw error;
  }
  throw new Error("nothing was refused");
}

function link(name: string, index: number, addresses: readonly (string | AddrRow)[], mtu = 1500): LinkRow {
  return { name, index, mtu, addresses: addresses.map((text) => (typeof text === "string" ? row(text) : text)) };
}

function row(text: string, rest: Partial<AddrRow> = {}): AddrRow {
  return { addr: addr(text), scope: "global", deprecated: false, dynamic: false, temporary: false, ...rest };
}

function defaultRoute(dev: string, metric?: number): RouteRow {
  return { dst: undefined, dev, ...(metric !== undefined && { metric }) };
}

function addr(text: string): Addr {
  const parsed = parseAddr(text);
  if (!parsed) throw new Error(`${text} is no address`);
  return parsed;
}

function show(addr: Addr | undefined): string {
  return addr ? formatAddr(addr) : "none";
}

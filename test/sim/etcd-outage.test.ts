// Whole agents, their hosts and data planes in memory, on a real etcd that comes to grief: the data plane goes on from the
// last table, a live peer is never without a route, and after it the table is etcd's again.

import { describe, expect, test } from "vitest";
import { EtcdServer, noEtcd } from "../etcd-server.ts";
import { TcpProxy } from "../tcp-proxy.ts";
import { until } from "../until.ts";
import { EtcdAgent, PREFIX } from "./etcd-agent.ts";

const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const configure = (server: EtcdServer): Promise<string> => server.ctl("put", `${PREFIX}/config`, CONFIG);

/** An etcd, two agents that know each other, and the way of the first to it. */
async function cluster(args: readonly string[] = []) {
  await using made = new AsyncDisposableStack();
  const server = made.use(await EtcdServer.started(args));
  await configure(server);
  const proxy = made.use(await TcpProxy.to(server.port));
  const a = made.use(await EtcdAgent.start(1, [`http://127.0.0.1:${proxy.port}`]));
  const b = made.use(await EtcdAgent.start(2, [server.endpoint]));
  await until(() => a.ready && b.ready && a.peers.length === 1 && b.peers.length === 1);
  const resources = made.move();
  return { server, proxy, a, b, keys: [a.key, b.key], [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** A third agent starts now, and the first comes to know it. */
async function learns(a: EtcdAgent, server: EtcdServer, others: readonly string[]): Promise<void> {
  await using c = await EtcdAgent.start(3, [server.endpoint]);
  await until(() => c.ready && a.peers.includes(c.key));
  expect(a.peers.toSorted()).toEqual([...others, c.key].toSorted());
}

const withoutPeer = (agent: EtcdAgent, key: string): string[][] => {
  const first = agent.passes.findIndex((peers) => peers.includes(key));
  return agent.passes.slice(first).filter((peers) => !peers.includes(key));
};

describe.skipIf(noEtcd)(`agents while etcd${noEtcd ? `: ${noEtcd}` : ""}`, { timeout: 40_000 }, () => {
  test.concurrent("is killed and started again", async () => {
    await using all = await cluster();
    const { server, a, b } = all;
    await server.kill();
    await until(() => a.contact.length === 1);
    expect([a.ready, a.peers]).toEqual([true, [b.key]]);
    expect(a.agent.status().problems.join()).toContain("etcd");
    await server.start();
    await until(() => a.contact.length === 2);
    expect(a.contact).toEqual(["lost", "back"]);
    expect(
      a.log.lines.find(({ sentence }) => sentence === "contact with etcd is back")?.fields["afterMs"],
    ).toBeGreaterThan(0);
    await learns(a, server, [b.key]);
    expect(withoutPeer(a, b.key)).toEqual([]);
    expect([a.key, b.key]).toEqual(all.keys);
  });

  test.concurrent("comes back with an empty data directory", async () => {
    await using all = await cluster();
    const { server, a, b } = all;
    await server.kill();
    server.wipe();
    await until(() => a.contact.length === 1);
    await server.start();
    await configure(server);
    const inEtcd = async (): Promise<string[]> =>
      (await server.ctl("get", "--prefix", "--keys-only", `${PREFIX}/subnets/`))
        .split("\n")
        .filter((key) => key !== "");
    await until(async () => (await inEtcd()).length === 2 && a.ready && b.ready);
    expect((await inEtcd()).map((key) => key.slice(PREFIX.length + 1))).toEqual(all.keys.toSorted());
    await learns(a, server, [b.key]);
    expect(withoutPeer(a, b.key)).toEqual([]);
    expect(withoutPeer(b, a.key)).toEqual([]);
  });

  test.concurrent("swallows everything both ways, and closes nothing", async () => {
    await using all = await cluster();
    const { server, proxy, a, b } = all;
    proxy.blackHole();
    await until(() => a.contact.length === 1);
    expect([a.ready, a.peers]).toEqual([true, [b.key]]);
    proxy.heal();
    await until(() => a.contact.length === 2);
    await learns(a, server, [b.key]);
    expect(withoutPeer(a, b.key)).toEqual([]);
    expect(a.contact).toEqual(["lost", "back"]);
  });

  test.concurrent("hangs", async () => {
    await using all = await cluster();
    const { server, a, b } = all;
    await server.freeze();
    await until(() => a.contact.length === 1 && b.contact.length === 1);
    expect([a.ready, a.peers]).toEqual([true, [b.key]]);
    server.thaw();
    await until(() => a.contact.length === 2);
    await learns(a, server, [b.key]);
    expect(withoutPeer(a, b.key)).toEqual([]);
    expect(a.contact).toEqual(["lost", "back"]);
  });

  test.concurrent("has forgotten the history since an agent was cut off", async () => {
    await using all = await cluster();
    const { server, proxy, a, b } = all;
    proxy.refuse();
    await until(() => a.contact.length === 1);
    await using c = await EtcdAgent.start(3, [server.endpoint]);
    await until(() => c.ready);
    await server.compact();
    proxy.heal();
    await until(() => a.peers.length === 2);
    expect(a.peers.toSorted()).toEqual([b.key, c.key].toSorted());
    expect(withoutPeer(a, b.key)).toEqual([]);
  });

  test.concurrent("answers slowly", async () => {
    await using all = await cluster();
    const { server, proxy, a, b } = all;
    proxy.slow(700);
    await learns(a, server, [b.key]);
    expect(a.contact).toEqual([]);
    // From the beginning, too.
    await using slow = await EtcdAgent.start(4, [`http://127.0.0.1:${proxy.port}`]);
    await until(() => slow.ready && slow.peers.includes(a.key));
    expect(slow.contact).toEqual([]);
  });

  test.concurrent("has no space left: who is there stays, who is new waits and says why", async () => {
    await using all = await cluster(["--quota-backend-bytes=65536"]);
    const { server, a, b } = all;
    await expect(server.ctl("put", "/fill", "x".repeat(100_000))).rejects.toThrow("database space exceeded");
    expect(await server.ctl("alarm", "list")).toContain("NOSPACE");
    await using c = await EtcdAgent.start(3, [server.endpoint]);
    await until(() => c.agent.status().problems.join().includes("database space exceeded"));
    expect(c.agent.status().lease).toBeUndefined();
    expect([a.ready, b.ready, a.peers]).toEqual([true, true, [b.key]]);
    await server.ctl("alarm", "disarm");
    await until(() => c.ready && a.peers.includes(c.key));
    expect(a.contact).toEqual([]);
    expect(withoutPeer(a, b.key)).toEqual([]);
  });

  test.concurrent("refuses: who is there stays, who starts waits and says why", async () => {
    await using all = await cluster();
    const { server, a, b } = all;
    await server.ctl("user", "add", "root:rootpw");
    await server.ctl("user", "grant-role", "root", "root");
    await server.ctl("auth", "enable");
    await using c = await EtcdAgent.start(3, [server.endpoint]);
    await until(() => c.agent.status().problems.join().includes("set --etcd-username and --etcd-password"));
    expect(c.agent.status()).toMatchObject({ lease: undefined, etcd: { connected: false } });
    expect([a.ready, b.ready, a.peers]).toEqual([true, true, [b.key]]);
    await server.ctl("--user", "root:rootpw", "auth", "disable");
    await until(() => c.ready && a.peers.includes(c.key));
    expect(withoutPeer(a, b.key)).toEqual([]);
  });

  test.concurrent("is three members, and the one that leads is killed", async () => {
    await using made = new AsyncDisposableStack();
    const members = await EtcdServer.cluster(3);
    for (const member of members) made.use(member);
    const leads = await Promise.all(members.map((member) => member.leads()));
    const leader = members[leads.indexOf(true)];
    if (!leader) throw new Error("no member leads");
    await configure(leader);
    const ways = await Promise.all(members.filter((each) => each !== leader).map(({ port }) => TcpProxy.to(port)));
    for (const way of ways) made.use(way);
    const others = ways.map(({ port }) => `http://127.0.0.1:${port}`);
    // A client takes any member: the first agent's watch is to be at the one that is killed, and tells it of the second.
    for (const way of ways) way.refuse();
    const a = made.use(await EtcdAgent.start(1, [leader.endpoint, ...others]));
    await until(() => a.ready);
    const endpoints = members.map(({ endpoint }) => endpoint);
    const b = made.use(await EtcdAgent.start(2, endpoints));
    await until(() => a.peers.length === 1 && b.peers.length === 1);
    for (const way of ways) way.heal();
    await leader.kill();
    await using c = await EtcdAgent.start(3, endpoints);
    await until(() => c.ready && a.peers.includes(c.key));
    expect([a.ready, b.ready]).toEqual([true, true]);
    expect(withoutPeer(a, b.key)).toEqual([]);
  });
});

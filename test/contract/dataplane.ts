import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseAddr } from "../../pkg/addr/addr.ts";
import { parseMac } from "../../pkg/addr/mac.ts";
import { parsePrefix } from "../../pkg/addr/prefix.ts";
import type { Dataplane, Want } from "../../pkg/dataplane/dataplane.ts";
import type { Lease } from "../../pkg/lease/lease.ts";
import type { Underlay } from "../../pkg/underlay/underlay.ts";

/**
 * A data plane that is not open yet, and the underlay to open it on, whose link has the addresses 198.51.100.0/24. It is
 * for the network 10.5.0.0/16 and, where its wire format is VXLAN, for VNI 1.
 */
export interface DataplaneUnderTest {
  readonly plane: Dataplane;
  /** VXLAN where it is left out. */
  readonly backendType?: "vxlan" | "host-gw";
  readonly underlay: Underlay;
  /** Takes away what the test made in the kernel. */
  cleanUp(): Promise<void>;
}

/** What every data plane promises the agent, whatever it is made of. */
export function dataplaneContract(name: string, make: () => Promise<DataplaneUnderTest>): void {
  describe(`data plane contract: ${name}`, () => {
    let made: DataplaneUnderTest;
    let plane: Dataplane;
    beforeEach(async () => {
      made = await make();
      plane = made.plane;
    });
    afterEach(async () => {
      await plane.close();
      await made.cleanUp();
    });

    function want(peers: readonly Lease[], changes: Partial<Want> = {}): Want {
      return { own: vxlanLease("10.5.1.0/24", "198.51.100.1", MAC_OWN), peers, underlay: made.underlay, ...changes };
    }

    test("open says what goes into the lease and what a packet may measure", async () => {
      const attrs = await plane.open(made.underlay);
      expect(attrs.publicIp).toEqual(made.underlay.publicIp);
      const isVxlan = made.backendType !== "host-gw";
      expect(attrs.backendType).toBe(isVxlan ? "vxlan" : "host-gw");
      expect(attrs.vtep[4]?.vni).toBe(isVxlan ? 1 : undefined);
      expect(plane.mtu[4]).toBe(made.underlay.mtu - (isVxlan ? 50 : 0));
    });

    test("reconcile answers for every peer, and the same the second time", async () => {
      const attrs = await plane.open(made.underlay);
      const peers = [PEER_2, PEER_3];
      for (const round of [1, 2]) {
        const outcome = await plane.reconcile(want(peers));
        expect(Object.fromEntries(outcome.peers), `round ${round}`).toEqual({
          [PEER_2.key]: "in-sync",
          [PEER_3.key]: "in-sync",
        });
        expect(outcome.attrs).toEqual(attrs);
      }
      // Where the kernel alone forwards, nobody counts by peer.
      if (plane.name === "tun") expect([...plane.stats().peers.keys()].sort()).toEqual([PEER_2.key, PEER_3.key]);
    });

    test("a peer that left is gone from the next answer", async () => {
      await plane.open(made.underlay);
      await plane.reconcile(want([PEER_2, PEER_3]));
      const outcome = await plane.reconcile(want([PEER_3]));
      expect([...outcome.peers.keys()]).toEqual([PEER_3.key]);
    });

    test("a peer whose lease lacks what we need fails alone, with a reason", async () => {
      await plane.open(made.underlay);
      const bad: Lease = { ...PEER_2, attrs: { ...PEER_2.attrs, vtep: {}, publicIp: {} } };
      const outcome = await plane.reconcile(want([bad, PEER_3]));
      expect(outcome.peers.get(bad.key)).toEqual({ failed: expect.stringMatching(/\w+ \w+/) });
      expect(outcome.peers.get(PEER_3.key)).toBe("in-sync");
    });

    test("another public address comes back as what to publish", async () => {
      await plane.open(made.underlay);
      const publicIp = { 4: addr("203.0.113.9") };
      // A host-gw node has none but its interface's.
      const moved = made.backendType === "host-gw" ? { publicIp, addr: publicIp } : { publicIp };
      const outcome = await plane.reconcile(want([PEER_2], { underlay: { ...made.underlay, ...moved } }));
      expect(outcome.attrs.publicIp).toEqual(publicIp);
    });

    test("close is idempotent and fulfils done", async () => {
      await plane.open(made.underlay);
      await plane.close();
      await plane.close();
      await expect(plane.done).resolves.toBeUndefined();
      await expect(plane.reconcile(want([PEER_2]))).rejects.toThrow(/closed/);
    });

    test("close before open is no error", async () => {
      await plane.close();
      await expect(plane.done).resolves.toBeUndefined();
    });
  });
}

const MAC_OWN = "02:00:00:00:00:01";
const PEER_2 = vxlanLease("10.5.2.0/24", "198.51.100.2", "02:00:00:00:00:02");
const PEER_3 = vxlanLease("10.5.3.0/24", "198.51.100.3", "02:00:00:00:00:03");

function vxlanLease(subnet: string, publicIp: string, mac: string): Lease {
  const prefix = parsePrefix(subnet);
  const parsed = parseMac(mac);
  if (!prefix || !parsed) throw new Error(`bad test lease ${subnet}`);
  return {
    key: `subnets/${subnet.replace("/", "-")}`,
    subnet: { 4: prefix },
    attrs: { publicIp: { 4: addr(publicIp) }, backendType: "vxlan", vtep: { 4: { vni: 1, mac: parsed } } },
    leaseId: "7",
    modRevision: "1",
  };
}

function addr(text: string): NonNullable<ReturnType<typeof parseAddr>> {
  const parsed = parseAddr(text);
  if (!parsed) throw new Error(`bad test address ${text}`);
  return parsed;
}

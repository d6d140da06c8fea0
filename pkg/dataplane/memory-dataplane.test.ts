import { parseAddr } from "../addr/addr.ts";
import { parseMac } from "../addr/mac.ts";
import { dataplaneContract } from "../../test/contract/dataplane.ts";
import { MemoryDataplane } from "./memory-dataplane.ts";

dataplaneContract("MemoryDataplane", () => {
  const mac = parseMac("02:00:00:00:00:01");
  const own = parseAddr("198.51.100.1");
  if (!mac || !own) throw new Error("bad test addresses");
  return Promise.resolve({
    plane: new MemoryDataplane({ vni: 1, vtepMac: { 4: mac } }),
    underlay: { name: "eth0", index: 2, mtu: 1500, addr: { 4: own }, publicIp: { 4: own } },
    cleanUp: () => Promise.resolve(),
  });
});

import { formatAddr } from "../addr/addr.ts";
import { formatPrefix } from "../addr/prefix.ts";
import type { NetworkConfig } from "../subnet/network-config.ts";

/**
 * The effective network config as the JSON of `<prefix>/config`, every default written out: what parseNetworkConfig
 * reads back to the same value. Two configs mean the same exactly when their texts are equal.
 */
export function formatNetworkConfig(config: NetworkConfig): string {
  const { network, subnetLen, subnetMin, subnetMax, backend } = config;
  return JSON.stringify({
    EnableIPv4: network[4] !== undefined,
    EnableIPv6: network[6] !== undefined,
    EnableNFTables: config.enableNFTables,
    Network: network[4] && formatPrefix(network[4]),
    IPv6Network: network[6] && formatPrefix(network[6]),
    SubnetLen: subnetLen[4],
    SubnetMin: subnetMin[4] && formatAddr(subnetMin[4]),
    SubnetMax: subnetMax[4] && formatAddr(subnetMax[4]),
    IPv6SubnetLen: subnetLen[6],
    IPv6SubnetMin: subnetMin[6] && formatAddr(subnetMin[6]),
    IPv6SubnetMax: subnetMax[6] && formatAddr(subnetMax[6]),
    Backend:
      backend.type === "host-gw"
        ? { Type: backend.type }
        : {
            Type: backend.type,
            VNI: backend.vni,
            Port: backend.port,
            MTU: backend.mtu,
            GBP: backend.gbp,
            Learning: backend.learning,
            DirectRouting: backend.directRouting,
          },
  });
}

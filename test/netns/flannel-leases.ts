// Leases as flannel writes them, by number: as many nodes as a test needs that are not there.

/** The subnet of a node, without its length of 24. */
export const subnetOf = (i: number): string => `10.${1 + (i >> 8)}.${i & 255}.0`;

export function flannelKey(prefix: string, i: number): string {
  return `${prefix}/subnets/${subnetOf(i)}-24`;
}

export function flannelValue(i: number): string {
  const mac = `0a:00:00:00:${hex(i >> 8)}:${hex(i & 255)}`;
  return `{"PublicIP":"172.30.${i >> 8}.${i & 255}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

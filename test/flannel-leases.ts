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

/** The txn that etcdctl reads, of `count` leases. etcd takes 128 at once. */
export function flannelLeases(prefix: string, from: number, count: number): string {
  const lines = Array.from({ length: count }, (_, n) => {
    return `put ${flannelKey(prefix, from + n)} ${JSON.stringify(flannelValue(from + n))}`;
  });
  return `\n${lines.join("\n")}\n\n\n`;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

const FIRST = 1;

/** The subnet of the `i`th, in 10.0.0.0/8. */
export function flannelSubnet(i: number): string {
  return `10.${FIRST + (i >> 8)}.${i & 255}.0`;
}

/** The txn that etcdctl reads: leases of nodes that there are not, as flannel writes them. At most 128 at once. */
export function flannelLeases(prefix: string, from: number, count: number): string {
  const lines = Array.from({ length: count }, (_, n) => {
    const i = from + n;
    const mac = `0a:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
    const value = `{"PublicIP":"172.30.${i >> 8}.${i & 255}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
    return `put ${prefix}/subnets/${flannelSubnet(i)}-24 ${JSON.stringify(value)}`;
  });
  return `\n${lines.join("\n")}\n\n\n`;
}

/** What `twillctl --help` prints. */
export const HELP = `twillctl asks the twill agent of this host, and tells it what to do.

Usage: twillctl [--socket PATH] [--json] COMMAND

Commands:
  status         this node: its lease, data plane and etcd, and how each peer is reached
  leases         every lease of the cluster that this node knows
  reserve SUBNET PUBLIC-IP
                 keep a subnet for the node at an address, also while it is away; in dual
                 stack one of each family, with a comma between
  unreserve SUBNET
                 end a reservation; a node that lives there goes on with a lease
  leave          take this node out of the cluster for good: no new pods, its subnet given back,
                 device, routes and rules removed; twilld ends with exit code 0. Where it does not
                 run, start it first

Flags:
  --socket PATH  the agent's control socket: <run-dir>/twilld.sock
                 (environment TWILL_SOCKET, default /run/twill/twilld.sock)
  --json         JSON for programs; times are milliseconds since 1970
  --version      print the version
  -h, --help     print this

Exit codes:
  0  done; status: the node is ready
  1  status: the node is not ready for pods; else: it could not be done, or not wholly
  2  the command line is wrong
  3  the agent does not run, may not be asked, or cannot answer
`;

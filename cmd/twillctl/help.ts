/** What `twillctl --help` prints. */
export const HELP = `twillctl tells how the twill agent of this host is doing.

Usage: twillctl [--socket PATH] [--json] COMMAND

Commands:
  status         this node: its lease, data plane and etcd, and how each peer is reached
  leases         every lease of the cluster that this node knows

Flags:
  --socket PATH  the agent's control socket: <run-dir>/twilld.sock
                 (environment TWILL_SOCKET, default /run/twill/twilld.sock)
  --json         JSON for programs; times are milliseconds since 1970
  --version      print the version
  -h, --help     print this

Exit codes:
  0  done; status: the node is ready
  1  status: the node is not ready for pods
  2  the command line is wrong
  3  the agent does not run, may not be asked, or cannot answer
`;

// Why a TUN device or a UDP socket could not be opened, as a sentence with the next step.

import { SysError } from "../../sys/errors.ts";
import { DataplaneError } from "../dataplane.ts";

/** Of `openTun`. Anything but a SysError comes back as it is. */
export function openDeviceError(name: string, error: unknown): unknown {
  if (!(error instanceof SysError)) return error;
  const opening = error.syscall.startsWith("open");
  switch (error.code) {
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return new DataplaneError(
        "there is no /dev/net/tun: load the tun module (modprobe tun); in a container pass the device in (--device /dev/net/tun)",
        { cause: error },
      );
    case "EACCES":
    case "EPERM":
      return new DataplaneError(
        opening
          ? "no permission to open /dev/net/tun: run twilld as root, or let its user read and write the device"
          : `no permission to create the TUN device ${name}: run twilld as root or with CAP_NET_ADMIN`,
        { cause: error },
      );
    case "EBUSY":
      return new DataplaneError(
        `the TUN device ${name} is held by another process: stop the other twilld, or give this network another VNI`,
        { cause: error },
      );
    case "EINVAL":
      return new DataplaneError(
        `an interface ${name} of another kind is in the way: delete it (ip link delete ${name})`,
        { cause: error },
      );
    default:
      return new DataplaneError(`cannot open the TUN device ${name}`, { cause: error });
  }
}

/** Of `openUdp`. Anything but a SysError comes back as it is. */
export function openSocketError(addr: string, port: number, error: unknown): unknown {
  if (!(error instanceof SysError)) return error;
  switch (error.code) {
    case "EADDRINUSE":
      return new DataplaneError(
        `UDP port ${port} on ${addr} is taken: see by whom with "ss -lunp sport = :${port}"; a VXLAN device that is up ` +
          `holds it without a process (ip -d link show type vxlan)`,
        { cause: error },
      );
    case "EADDRNOTAVAIL":
      return new DataplaneError(`${addr} is no address of this host any more: check the underlay interface`, {
        cause: error,
      });
    default:
      return new DataplaneError(`cannot open UDP port ${port} on ${addr}`, { cause: error });
  }
}

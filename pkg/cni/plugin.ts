// The plugin does two things: it turns what the agent has leased into a netconf for another plugin, and it remembers
// what it asked for, so that it can be undone when nothing else is left: no namespace, no subnet.env, no agent.
//
//   ADD     ready? -> render -> is the interface name free? -> saved before? DEL that -> save -> delegate ADD -> result
//                                                                          failed? -> delegate DEL -> forget
//   DEL     saved?  yes -> delegate DEL with it -> forget        (the delegate failed: keep it for the next DEL)
//                   no  -> delegate DEL with what can be rendered now
//   GC      for everything saved for this network and not listed as valid: DEL without a namespace
//           saved for nobody knows which: the same, with what can be rendered now

import { addrFromBytes } from "../addr/addr.ts";
import type { Family, PerFamily } from "../addr/family.ts";
import { type InterfaceAddr, parseInterfaceAddr } from "../addr/prefix.ts";
import { describeError } from "../base/errors.ts";
import { type Attachment, AttachmentStore } from "./attachment-store.ts";
import type { Call } from "./call.ts";
import { Delegate, type Target } from "./delegate.ts";
import { delegateType, type PodNetwork, renderDelegate } from "./delegate-conf.ts";
import { CODE, CniError } from "./error.ts";
import { isString, type JsonObject, objectsOf } from "./json.ts";
import type { AttachmentId, NetConf } from "./netconf.ts";
import { isNamespace } from "./netns.ts";
import { readiness } from "./readiness.ts";
import { convertResult, fillGateways, mergeResults } from "./result.ts";
import { atLeast, NEWEST_VERSION } from "./version.ts";

/** What the plugin needs from outside. */
export interface PluginHost {
  /** Reads subnet.env; undefined when there is none. */
  readPodNetwork(path: string): PodNetwork | undefined;
  /** Whether a network namespace has an interface of that name. */
  interfaceExists(netns: string, ifname: string): boolean;
  /** A sentence for the runtime's log: something went wrong that does not make the call fail. */
  warn(sentence: string): void;
}

/** One call of the plugin with a netconf. Every verb throws a CniError. */
export class Plugin {
  readonly #call: Call;
  readonly #conf: NetConf;
  readonly #host: PluginHost;
  readonly #store: AttachmentStore;

  constructor(call: Call, conf: NetConf, host: PluginHost) {
    this.#call = call;
    this.#conf = conf;
    this.#host = host;
    this.#store = new AttachmentStore(conf.dataDir);
  }

  /** Attaches the container and returns the result in the netconf's version. */
  add(): JsonObject {
    const { containerId, ifname, netns } = this.#call;
    const ready = readiness(this.#conf, (path) => this.#host.readPodNetwork(path));
    if (ready.state !== "ready") {
      throw new CniError(ready.state === "conflict" ? CODE.conflict : CODE.tryAgainLater, ready.message);
    }
    const conf = renderDelegate(this.#conf, ready.net);
    const delegate = Delegate.open(delegateType(this.#conf), this.#call);
    // Told before anything is made: the clean-up after a failed ADD would take that interface away.
    if (this.#host.interfaceExists(netns, ifname)) {
      throw new CniError(CODE.badEnvironment, `CNI_IFNAME is "${ifname}", which ${netns} already has; DEL it first`);
    }
    this.#clearLeftover();
    const attachment = { containerId, ifname, delegate: conf };
    this.#store.save(attachment);
    try {
      return this.#result(delegate.add(conf, this.#call, this.#conf.prevResult));
    } catch (error) {
      this.#undo(delegate, attachment);
      throw error;
    }
  }

  /** Detaches the container. Whatever is gone already is fine. */
  del(): void {
    const attachment = this.#saved(this.#call);
    if (attachment) this.#delSaved(attachment, this.#netns());
    else this.#delUnknown({ ...this.#call, netns: this.#netns() });
  }

  /** Throws unless the attachment is as ADD left it. */
  check(): void {
    this.#needVersion("0.4.0");
    const { containerId, ifname, netns } = this.#call;
    const { prevResult } = this.#conf;
    if (!prevResult)
      throw new CniError(CODE.badConfig, 'the netconf has no "prevResult"; CHECK needs the result of ADD');
    const attachment = this.#store.load(this.#call);
    if (!attachment) {
      const file = this.#store.pathOf(this.#call);
      throw new CniError(CODE.unknownContainer, `container ${containerId} has no attachment ${ifname}: no ${file}`);
    }
    if (!this.#host.interfaceExists(netns, ifname)) {
      throw new CniError(CODE.checkFailed, `${netns} has lost its interface ${ifname}`);
    }
    const delegate = Delegate.open(typeOf(attachment), this.#call);
    delegate.run("CHECK", attachment.delegate, this.#call, fillGateways(prevResult));
  }

  /** Throws when an ADD would fail now. */
  status(): void {
    this.#needVersion("1.1.0");
    const ready = readiness(this.#conf, (path) => this.#host.readPodNetwork(path));
    if (ready.state !== "ready") {
      throw new CniError(ready.state === "not-ready" ? CODE.unavailable : CODE.limited, ready.message);
    }
    const conf = renderDelegate(this.#conf, ready.net);
    let delegate: Delegate;
    let canTell: boolean;
    try {
      delegate = Delegate.open(delegateType(this.#conf), this.#call);
      canTell = delegate.supports("1.1.0");
    } catch (error) {
      throw new CniError(CODE.unavailable, describeError(error), { cause: error });
    }
    if (canTell) delegate.run("STATUS", conf);
  }

  /** Detaches every attachment of this network that is not listed as valid. One that fails does not stop the others. */
  gc(): void {
    this.#needVersion("1.1.0");
    const valid = this.#conf.validAttachments;
    if (!valid) {
      throw new CniError(CODE.badConfig, 'the netconf has no "cni.dev/valid-attachments"; GC must know what to keep');
    }
    const failures: string[] = [];
    for (const id of this.#store.list()) {
      if (valid.some(({ containerId, ifname }) => containerId === id.containerId && ifname === id.ifname)) continue;
      try {
        this.#collect(id);
      } catch (error) {
        failures.push(`${id.containerId} ${id.ifname}: ${describeError(error)}`);
      }
    }
    try {
      const delegate = Delegate.open(delegateType(this.#conf), this.#call);
      const list = valid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }));
      const conf = { ...renderDelegate(this.#conf, this.#networkForDel()), "cni.dev/valid-attachments": list };
      if (delegate.supports("1.1.0")) delegate.run("GC", conf);
    } catch (error) {
      failures.push(describeError(error));
    }
    if (failures.length > 0) throw new CniError(CODE.gcFailed, `cannot collect everything: ${failures.join("; ")}`);
  }

  // The path of its namespace may belong to another container by now.
  #collect({ containerId, ifname }: AttachmentId): void {
    const target = { containerId, ifname, netns: "" };
    const attachment = this.#saved(target);
    // Several networks may share a data directory. A file that does not say whose it is goes with the first that asks, or
    // GC would fail for good: what a delegate keeps is kept by network, container and interface.
    if (!attachment) this.#delUnknown(target);
    else if (attachment.delegate["name"] === this.#conf.name) this.#delSaved(attachment, "");
  }

  #needVersion(least: string): void {
    const { cniVersion } = this.#conf;
    if (atLeast(cniVersion, least)) return;
    const { verb } = this.#call;
    throw new CniError(CODE.incompatibleVersion, `${verb} needs cniVersion ${least}; the netconf has "${cniVersion}"`);
  }

  #result(own: JsonObject): JsonObject {
    const { prevResult, cniVersion } = this.#conf;
    const version = cniVersion === "" ? "0.1.0" : cniVersion;
    if (!prevResult) return convertResult(own, version);
    const merged = mergeResults(convertResult(prevResult, NEWEST_VERSION), convertResult(own, NEWEST_VERSION));
    return convertResult(merged, version);
  }

  // Saved, and yet without an interface: the node went down and nobody said DEL. IPAM plugins refuse a second address to
  // the same container and interface, so the old one must go before a container that starts again can have one.
  #clearLeftover(): void {
    const leftover = this.#saved(this.#call);
    if (!leftover) return;
    try {
      this.#delSaved(leftover, "");
    } catch (error) {
      this.#host.warn(`cannot clear what an earlier ADD left: ${describeError(error)}`);
    }
  }

  #undo(delegate: Delegate, attachment: Attachment): void {
    try {
      delegate.run("DEL", attachment.delegate, this.#call);
      this.#store.remove(attachment);
    } catch (error) {
      this.#host.warn(`cannot undo the failed ADD, the next DEL will: ${describeError(error)}`);
    }
  }

  // A path that leads to no namespace is the same as none: it went, and its interfaces with it. Where a runtime's unlink has
  // not followed its umount there still is a file, at which every delegate would fail for good.
  #netns(): string {
    return isNamespace(this.#call.netns) ? this.#call.netns : "";
  }

  #saved(id: AttachmentId): Attachment | undefined {
    try {
      return this.#store.load(id);
    } catch (error) {
      if (!(error instanceof CniError && error.code === CODE.decode)) throw error;
      this.#host.warn(`${describeError(error)}; going by the netconf`);
      return undefined;
    }
  }

  #delSaved(attachment: Attachment, netns: string): void {
    const { containerId, ifname } = attachment;
    const delegate = Delegate.open(typeOf(attachment), this.#call);
    delegate.run("DEL", attachment.delegate, { containerId, ifname, netns }, this.#prevResultFor(attachment));
    this.#store.remove(attachment);
  }

  // Nothing was saved, or it was lost. What the delegate's IPAM keeps is freed by container and interface, so a netconf
  // rendered now does. One that cannot be rendered, or has no delegate, was never added either.
  #delUnknown(target: Target): void {
    let conf: JsonObject;
    let delegate: Delegate;
    try {
      conf = renderDelegate(this.#conf, this.#networkForDel());
      delegate = Delegate.open(delegateType(this.#conf), this.#call);
    } catch (error) {
      this.#host.warn(`nothing to delete: ${describeError(error)}`);
      return;
    }
    delegate.run("DEL", conf, target, this.#conf.prevResult);
    this.#store.remove(target);
  }

  // GC has no result of that attachment.
  #prevResultFor(id: Attachment): JsonObject | undefined {
    return id.containerId === this.#call.containerId ? this.#conf.prevResult : undefined;
  }

  #networkForDel(): PodNetwork {
    try {
      const net = this.#host.readPodNetwork(this.#conf.subnetFile);
      if (net) return net;
    } catch (error) {
      this.#host.warn(describeError(error));
    }
    return { network: {}, subnet: subnetsOf(this.#conf.prevResult), mtu: 1500, ipMasq: true };
  }
}

// host-local insists on a range and then frees by container and interface whatever the range is. TEST-NET-1 (RFC 5737).
const ANY_SUBNET: InterfaceAddr = { addr: addrFromBytes(Uint8Array.of(192, 0, 2, 1)), length: 24 };

function subnetsOf(result: JsonObject | undefined): PerFamily<InterfaceAddr> {
  const subnets: { [F in Family]?: InterfaceAddr } = {};
  for (const { address } of objectsOf(result && convertResult(result, NEWEST_VERSION)["ips"])) {
    const parsed = isString(address) ? parseInterfaceAddr(address) : undefined;
    if (parsed) subnets[parsed.addr.family] = parsed;
  }
  return Object.keys(subnets).length > 0 ? subnets : { 4: ANY_SUBNET };
}

function typeOf(attachment: Attachment): string {
  return String(attachment.delegate["type"]);
}

import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { errorCode } from "../base/errors.ts";
import { isContainerId, isIfname } from "./call.ts";
import { CODE, CniError } from "./error.ts";
import { canonicalJson, isObject, isString, type JsonObject } from "./json.ts";
import type { AttachmentId } from "./netconf.ts";

/** What was delegated for one interface of a container: enough to undo it without the netconf or subnet.env. */
export interface Attachment extends AttachmentId {
  /** The netconf that the delegate was given. */
  readonly delegate: JsonObject;
}

const SUFFIX = ".json";

/**
 * The attachments that we have made, one file each: `<containerID>:<ifname>.json`. Neither a container ID nor an
 * interface name can hold a colon, so two attachments never share a file, and neither can hold a slash.
 */
export class AttachmentStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  pathOf(id: AttachmentId): string {
    return join(this.#dir, `${id.containerId}:${id.ifname}${SUFFIX}`);
  }

  /** Writes the file (mode 0600, directory 0700) through to the disk. Throws a CniError with code 5. */
  save(attachment: Attachment): void {
    const path = this.pathOf(attachment);
    try {
      writeFileAtomic(path, `${canonicalJson(attachment)}\n`, { mode: 0o600, dirMode: 0o700 });
    } catch (error) {
      throw new CniError(CODE.io, `cannot write ${path}`, { cause: error });
    }
  }

  /** Undefined when there is none. Throws a CniError: 5 when the file cannot be read, 6 when it makes no sense. */
  load(id: AttachmentId): Attachment | undefined {
    const path = this.pathOf(id);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw new CniError(CODE.io, `cannot read ${path}`, { cause: error });
    }
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new CniError(CODE.decode, `cannot decode ${path}`, { cause: error });
    }
    const { delegate } = isObject(json) ? json : {};
    if (!isObject(delegate) || !isString(delegate["type"])) {
      throw new CniError(CODE.decode, `${path} does not describe an attachment`);
    }
    return { ...id, delegate };
  }

  /** Missing is fine. Throws a CniError with code 5. */
  remove(id: AttachmentId): void {
    const path = this.pathOf(id);
    try {
      rmSync(path, { force: true });
    } catch (error) {
      throw new CniError(CODE.io, `cannot remove ${path}`, { cause: error });
    }
  }

  /** Every attachment that has a file, readable or not, in the order of their names. Throws a CniError with code 5. */
  list(): readonly AttachmentId[] {
    let names: string[];
    try {
      names = readdirSync(this.#dir);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return [];
      throw new CniError(CODE.io, `cannot list ${this.#dir}`, { cause: error });
    }
    const ids: AttachmentId[] = [];
    for (const name of names.sort()) {
      const [containerId = "", ifname = "", ...more] = name.slice(0, -SUFFIX.length).split(":");
      if (!name.endsWith(SUFFIX) || more.length > 0) continue;
      if (isContainerId(containerId) && isIfname(ifname)) ids.push({ containerId, ifname });
    }
    return ids;
  }
}

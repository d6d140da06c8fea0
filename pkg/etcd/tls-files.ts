import { readFile } from "node:fs/promises";
import type { IOptions } from "etcd3";
import { ConfigError, errorCode } from "../base/errors.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  readonly keyFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly caFile?: string | undefined;
}

/** What the files hold. Throws ConfigError for one that cannot be read. */
export async function readCredentials(files: TlsFiles): Promise<NonNullable<IOptions["credentials"]>> {
  const [rootCertificate, certChain, privateKey] = await Promise.all([
    readPem("CA certificate", files.caFile),
    readPem("client certificate", files.certFile),
    readPem("client key", files.keyFile),
  ]);
  // etcd3's type wants a CA, but hands undefined on to grpc-js, which then trusts the system's CAs.
  return {
    ...(rootCertificate && { rootCertificate }),
    ...(certChain && { certChain }),
    ...(privateKey && { privateKey }),
  } as NonNullable<IOptions["credentials"]>;
}

async function readPem(role: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (cause) {
    const why = errorCode(cause) === "ENOENT" ? "no such file" : String(errorCode(cause) ?? cause);
    throw new ConfigError([`cannot read the etcd ${role} ${path}: ${why}`], { cause });
  }
  if (!content.includes("-----BEGIN ")) {
    throw new ConfigError([`the etcd ${role} ${path} is not in PEM form: it must begin with -----BEGIN`]);
  }
  return content;
}

// gRPC's server reflection as grpcurl uses it: asks what there is, and calls it by what it was told and nothing else.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { Client, credentials } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MemoryLogger } from "../base/logger.ts";
import { serveApi } from "./server.ts";
import type { Status } from "./status.ts";

const PROTO = join(dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json")), "build/proto");

let dir = "";
let client: Client;
let stop: AbortController;

beforeEach(async () => {
  stop = new AbortController();
  dir = mkdtempSync(join(tmpdir(), "twill-reflection-"));
  const socket = join(dir, "twilld.sock");
  const status = { node: { id: "8d7c", name: "a" }, problems: [], peers: [], etcd: { endpoints: [] } };
  const dataplane = { name: "tun", rung: "", mtus: [1450], counters: { rx_packets: 7n } };
  const refused = (): Promise<never> => Promise.reject(new Error("refused"));
  const source = {
    status: () => ({ ...status, dataplane }) as unknown as Status,
    leases: () => [],
    leave: refused,
    reserve: refused,
    unreserve: refused,
  };
  await serveApi({ socket, source, log: new MemoryLogger(), signal: stop.signal });
  client = new Client(`unix:${socket}`, credentials.createInsecure());
});
afterEach(() => {
  client.close();
  stop.abort();
  rmSync(dir, { recursive: true, force: true });
});

interface Answer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Uint8Array[] };
  readonly errorResponse?: { readonly errorCode: number };
}

/** Asks one question of each version's service. */
async function ask(version: string, question: object): Promise<Answer> {
  const root = await new protobuf.Root().load(join(PROTO, `grpc/reflection/${version}/reflection.proto`));
  const name = `grpc.reflection.${version}.ServerReflection`;
  const [request, response] = ["Request", "Response"].map((end) => root.lookupType(`${name}${end}`));
  const stream = client.makeBidiStreamRequest(
    `/${name}/ServerReflectionInfo`,
    (message: object) => Buffer.from(request?.encode(request.fromObject(message)).finish() ?? []),
    (bytes) => response?.toObject(response.decode(bytes)) as Answer,
  );
  stream.write(question);
  stream.end();
  for await (const answer of stream) return answer as Answer;
  return expect.fail("no answer");
}

interface File {
  readonly syntax: string;
  readonly messageType: readonly Message[];
}
interface Message {
  readonly name: string;
  readonly field: readonly { readonly name: string; readonly typeName?: string }[];
  readonly nestedType: readonly Message[];
}

/** The file that holds a symbol, as reflection hands it out. */
async function fileOf(symbol: string): Promise<Uint8Array> {
  const { fileDescriptorResponse } = await ask("v1", { fileContainingSymbol: symbol });
  return fileDescriptorResponse?.fileDescriptorProto[0] ?? expect.fail("no file");
}

for (const version of ["v1", "v1alpha"]) {
  test(`${version} lists the services, and does not know what there is not`, async () => {
    const { listServicesResponse } = await ask(version, { listServices: "*" });
    expect(listServicesResponse?.service.map(({ name }) => name)).toEqual(["twill.v1.Agent", "grpc.health.v1.Health"]);
    expect((await ask(version, { fileContainingSymbol: "twill.v1.Nothing" })).errorResponse?.errorCode).toBe(5);
  });
}

test("every method is called by what reflection says of it, counters too", async () => {
  // FileDescriptorSet: field 1 are the files.
  const file = await fileOf("twill.v1.Agent");
  const set = protobuf.Writer.create().uint32(10).bytes(file).finish();
  const root = protobuf.Root.fromDescriptor(set);
  const methods = root.lookupService("twill.v1.Agent").methods;
  expect(Object.keys(methods)).toContain("Probe");
  expect(methods["WatchStatus"]?.responseStream).toBe(true);
  const response = root.lookupType(`${methods["Status"]?.responseType}`);
  const status = await new Promise<object>((resolve, reject) => {
    client.makeUnaryRequest(
      "/twill.v1.Agent/Status",
      () => Buffer.alloc(0),
      (bytes) => response.toObject(response.decode(bytes), { longs: Number }),
      {},
      (error, answer) => (error ? reject(error) : resolve(answer ?? {})),
    );
  });
  expect(status).toMatchObject({ status: { node: { id: "8d7c" }, dataplane: { counters: { rx_packets: 7 } } } });
});

test("names are full and map entries are called as protoc calls them, which Go's clients insist on", async () => {
  const file = descriptor.FileDescriptorProto.decode(await fileOf("twill.v1.Dataplane")) as unknown as File;
  expect(file.syntax).toBe("proto3");
  const fields = file.messageType.flatMap(({ field }) => field);
  for (const { typeName } of fields) if (typeName) expect(typeName).toMatch(/^\.twill\.v1\.\w+/);
  const dataplane = file.messageType.find(({ name }) => name === "Dataplane");
  expect(dataplane?.nestedType).toMatchObject([{ name: "CountersEntry", options: { mapEntry: true } }]);
  expect(dataplane?.field.find(({ name }) => name === "counters")?.typeName).toBe(".twill.v1.Dataplane.CountersEntry");
});

test("bytes that are no question end their call, and nothing else", async () => {
  const same = (bytes: Buffer): Buffer => bytes;
  const stream = client.makeBidiStreamRequest("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", same, same);
  stream.write(Buffer.from([0x0a, 0xff]));
  const error = await new Promise((resolve) => stream.once("error", resolve));
  expect(error).toMatchObject({ code: 13 });
  expect((await ask("v1", { listServices: "*" })).listServicesResponse?.service).toHaveLength(2);
});

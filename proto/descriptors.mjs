// Writes to standard output the module that holds the .proto files as FileDescriptorProtos, which is what gRPC's server
// reflection hands out (google/protobuf/descriptor.proto); its declaration with --dts.
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";

const FILES = ["twill/v1/agent.proto", "grpc/health/v1/health.proto"];

const root = new protobuf.Root();
root.resolvePath = (_, target) => fileURLToPath(new URL(target, import.meta.url));
root.loadSync(FILES, { keepCase: true }).resolveAll();

// protobufjs leaves names relative and gives map entries the field's name; protoc writes them in full and with "Entry",
// and Go's clients insist on the latter (protodesc: "incorrect implicit map entry name").
function finish(message, path) {
  const full = `${path}.${message.name}`;
  const entries = message.nestedType.filter(({ options }) => options?.mapEntry);
  for (const entry of entries) entry.name += "Entry";
  for (const field of message.field) {
    delete field.options;
    if (!field.typeName) continue;
    const entry = entries.find(({ name }) => name === `${field.typeName}Entry`);
    field.typeName = entry ? `${full}.${entry.name}` : root.lookup(full).lookup(field.typeName).fullName;
  }
  for (const nested of message.nestedType) if (!nested.options?.mapEntry) finish(nested, full);
}

const texts = root.toDescriptor("proto3").file.map((file) => {
  for (const message of file.messageType) finish(message, `.${file.package}`);
  for (const { method } of file.service) {
    for (const each of method) {
      each.inputType = root.lookup(`.${file.package}`).lookup(each.inputType).fullName;
      each.outputType = root.lookup(`.${file.package}`).lookup(each.outputType).fullName;
    }
  }
  return Buffer.from(descriptor.FileDescriptorProto.encode(file).finish()).toString("base64");
});

console.log(
  process.argv.includes("--dts")
    ? "/** Of each package a FileDescriptorProto, in base64. */\nexport const FILE_DESCRIPTORS: readonly string[];"
    : `export const FILE_DESCRIPTORS = ${JSON.stringify(texts, undefined, 2)};`,
);

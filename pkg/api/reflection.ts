import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { FILE_DESCRIPTORS } from "../../proto/gen/descriptors.js";

/**
 * Lets clients ask a server what it serves, by gRPC's server reflection in its two versions, so that grpcurl and its like
 * need no .proto file.
 */
export function serveReflection(server: Server): void {
  // All that the library reads of a package definition.
  const described = { fileDescriptorProtos: FILE_DESCRIPTORS.map((text) => Buffer.from(text, "base64")) };
  type Package = ConstructorParameters<typeof ReflectionService>[0];
  new ReflectionService({ described } as unknown as Package).addToServer(server);
}

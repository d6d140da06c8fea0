import { type MethodDefinition, type Server, type ServerDuplexStream, status } from "@grpc/grpc-js";

type Bytes = ServerDuplexStream<Buffer, Buffer>;

interface Method {
  readonly definition: MethodDefinition<object, object>;
  /** As the library gives it: it takes "data" and "end", writes and ends. */
  readonly answer: (stream: object) => void;
}

const VERSIONS = ["v1", "v1alpha"].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/**
 * Lets clients ask a server what it serves, by gRPC's server reflection in its two versions, so that grpcurl and its like
 * need no .proto file. The library is loaded when somebody asks: it takes longer than gRPC itself, for which no agent's start
 * should wait.
 */
export function serveReflection(server: Server): void {
  let methods: Promise<ReadonlyMap<string, Method>> | undefined;
  for (const path of VERSIONS) {
    const serve = async (call: Bytes): Promise<void> => {
      methods ??= loadMethods();
      const method = (await methods).get(path);
      if (!method) throw new Error(`@grpc/reflection does not serve ${path}`);
      method.answer(messagesOf(call, method.definition));
    };
    server.addService(
      { ServerReflectionInfo: bytesMethod(path) },
      { ServerReflectionInfo: (call: Bytes) => void serve(call).catch((error: unknown) => fail(call, error)) },
    );
  }
}

async function loadMethods(): Promise<ReadonlyMap<string, Method>> {
  const { ReflectionService } = await import("@grpc/reflection");
  const { FILE_DESCRIPTORS } = await import("../../proto/gen/descriptors.js");
  // All that the library reads of a package definition.
  const described = { fileDescriptorProtos: FILE_DESCRIPTORS.map((text) => Buffer.from(text, "base64")) };
  type Package = ConstructorParameters<typeof ReflectionService>[0];
  const methods = new Map<string, Method>();
  const addService: Server["addService"] = (service, implementation) => {
    for (const [name, definition] of Object.entries(service)) {
      methods.set(definition.path, { definition, answer: implementation[name] as Method["answer"] });
    }
  };
  // It asks for no more of a server.
  new ReflectionService({ described } as unknown as Package).addToServer({ addService });
  return methods;
}

// Messages stay bytes until the library, which knows how to read them, is there.
function bytesMethod(path: string): MethodDefinition<Buffer, Buffer> {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function messagesOf(call: Bytes, { requestDeserialize, responseSerialize }: Method["definition"]): object {
  return {
    on(event: "data" | "end", read: (message?: object) => void) {
      if (event === "end") return void call.on("end", () => read());
      call.on("data", (bytes: Buffer) => {
        try {
          read(requestDeserialize(bytes));
        } catch (error) {
          fail(call, error);
        }
      });
    },
    write: (message: object) => call.write(responseSerialize(message)),
    end: () => call.end(),
  };
}

function fail(call: Bytes, error: unknown): void {
  call.emit("error", { code: status.INTERNAL, details: String(error) });
}

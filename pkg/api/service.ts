import type { MethodDefinition } from "@grpc/grpc-js";
import { grpc, twill } from "../../proto/gen/agent.js";

/** How a generated message class writes and reads itself. */
interface Codec<T, Decoded extends T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Decoded;
}

/** twill.v1.Agent of proto/twill/v1/agent.proto. */
export const AGENT_SERVICE = {
  Status: unary("/twill.v1.Agent/Status", twill.v1.StatusRequest, twill.v1.StatusResponse),
  ListLeases: unary("/twill.v1.Agent/ListLeases", twill.v1.ListLeasesRequest, twill.v1.ListLeasesResponse),
  Leave: unary("/twill.v1.Agent/Leave", twill.v1.LeaveRequest, twill.v1.LeaveResponse),
  Reserve: unary("/twill.v1.Agent/Reserve", twill.v1.ReserveRequest, twill.v1.ReserveResponse),
  Unreserve: unary("/twill.v1.Agent/Unreserve", twill.v1.UnreserveRequest, twill.v1.UnreserveResponse),
  ListProbes: unary("/twill.v1.Agent/ListProbes", twill.v1.ListProbesRequest, twill.v1.ListProbesResponse),
  Probe: unary("/twill.v1.Agent/Probe", twill.v1.ProbeRequest, twill.v1.ProbeResponse),
  ListLogs: unary("/twill.v1.Agent/ListLogs", twill.v1.ListLogsRequest, twill.v1.ListLogsResponse),
  WatchStatus: streaming("/twill.v1.Agent/WatchStatus", twill.v1.WatchStatusRequest, twill.v1.StatusResponse),
  WatchLeases: streaming("/twill.v1.Agent/WatchLeases", twill.v1.WatchLeasesRequest, twill.v1.ListLeasesResponse),
  WatchTraffic: streaming("/twill.v1.Agent/WatchTraffic", twill.v1.WatchTrafficRequest, twill.v1.WatchTrafficResponse),
  ListSettings: unary("/twill.v1.Agent/ListSettings", twill.v1.ListSettingsRequest, twill.v1.ListSettingsResponse),
  SetLogLevel: unary("/twill.v1.Agent/SetLogLevel", twill.v1.SetLogLevelRequest, twill.v1.SetLogLevelResponse),
} as const;

/** grpc.health.v1.Health of proto/grpc/health/v1/health.proto. */
export const HEALTH_SERVICE = {
  Check: unary("/grpc.health.v1.Health/Check", grpc.health.v1.HealthCheckRequest, grpc.health.v1.HealthCheckResponse),
  Watch: streaming(
    "/grpc.health.v1.Health/Watch",
    grpc.health.v1.HealthCheckRequest,
    grpc.health.v1.HealthCheckResponse,
  ),
} as const;

/** What the health service calls the control API itself. */
export const AGENT_SERVICE_NAME = "twill.v1.Agent";

function unary<Q, DQ extends Q, R, DR extends R>(
  path: string,
  request: Codec<Q, DQ>,
  response: Codec<R, DR>,
): MethodDefinition<Q, R> {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message) => asBuffer(request.encode(message).finish()),
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: (message) => asBuffer(response.encode(message).finish()),
    responseDeserialize: (bytes) => response.decode(bytes),
  };
}

/** One question, any number of answers. */
function streaming<Q, DQ extends Q, R, DR extends R>(
  path: string,
  request: Codec<Q, DQ>,
  response: Codec<R, DR>,
): MethodDefinition<Q, R> {
  return { ...unary(path, request, response), responseStream: true };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

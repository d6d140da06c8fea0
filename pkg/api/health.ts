import { grpc } from "../../proto/gen/agent.js";
import { AGENT_SERVICE_NAME } from "./service.ts";
import type { StatusSource } from "./status.ts";

type Response = grpc.health.v1.HealthCheckResponse.$Properties;

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = grpc.health.v1.HealthCheckResponse.ServingStatus;

/**
 * What gRPC's health service says of a service: of "", the node as a whole, whether pods may be attached; of the control API
 * that it serves, since it answers.
 */
export function healthOf(service: string, source: StatusSource): Response {
  if (service === AGENT_SERVICE_NAME) return { status: SERVING };
  if (service !== "") return { status: SERVICE_UNKNOWN };
  return { status: source.status().ready ? SERVING : NOT_SERVING };
}

/** Whether it says that there is no such service. */
export function isUnknown({ status }: Response): boolean {
  return status === SERVICE_UNKNOWN;
}

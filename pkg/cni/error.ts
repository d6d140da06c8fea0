import { describeError, errorCode } from "../base/errors.ts";

/** Error codes: 1 to 99 are the CNI specification's (1.1.0, section 5, "Error"), from 100 on they are ours. */
export const CODE = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  badEnvironment: 4,
  io: 5,
  decode: 6,
  badConfig: 7,
  tryAgainLater: 11,
  unavailable: 50,
  limited: 51,
  /** The agent has found a conflict that a person must solve. */
  conflict: 100,
  /** The delegate's program is not in CNI_PATH. */
  delegateMissing: 101,
  /** The delegate failed and did not say why in CNI's way. */
  delegateFailed: 102,
  /** CHECK found something missing. */
  checkFailed: 103,
  /** GC could not remove everything. */
  gcFailed: 104,
  /** A defect of twill-cni itself. */
  internal: 999,
} as const;

/** A failure as a container runtime is told about it: one sentence for the operator, a code for the runtime. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: number, message: string, options?: ErrorOptions & { readonly details?: string | undefined }) {
    super(message, options);
    this.code = code;
    this.details = options?.details;
  }
}

/** Whatever was thrown as a CniError: a system error is an I/O error, anything else a defect. */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  const system = errorCode(error) ?? (error instanceof Error ? errorCode(error.cause) : undefined);
  return new CniError(system === undefined ? CODE.internal : CODE.io, describeError(error), { cause: error });
}

/** The error as the specification wants it on standard output. */
export function formatError(error: CniError, cniVersion: string): string {
  const { code, details } = error;
  return JSON.stringify({ cniVersion, code, msg: describeError(error), ...(details && { details }) });
}

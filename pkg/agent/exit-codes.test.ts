import { expect, test } from "vitest";
import { ConfigError } from "../base/errors.ts";
import { EXIT, exitCode } from "./exit-codes.ts";

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

const cases = [
  { name: "a wrong flag", error: new ConfigError(["--x is wrong"]), code: EXIT.usage },
  { name: "a port in use", error: new Error("cannot serve", { cause: systemError("EADDRINUSE") }), code: EXIT.host },
  {
    name: "no permission, two causes down",
    error: new Error("a", { cause: new Error("b", { cause: systemError("EPERM") }) }),
    code: EXIT.host,
  },
  { name: "anything else", error: new Error("lost", { cause: systemError("ECONNRESET") }), code: EXIT.failed },
  { name: "what is no Error", error: "lost", code: EXIT.failed },
];

for (const { name, error, code } of cases) {
  test(`${name} ends with ${code}`, () => expect(exitCode(error)).toBe(code));
}

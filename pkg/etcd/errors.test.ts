import * as etcd3 from "etcd3";
import { expect, test } from "vitest";
import { explain } from "./errors.ts";

// The rest, on a real etcd, is in client.test.ts.

test("grpc-js without a cause leaves the sentence without one", () => {
  const message = "14 UNAVAILABLE: No connection established. Last error: null. Resolution note: ";
  const error = Object.assign(new Error(message), { code: 14 });
  const context = { endpoints: "http://a:2379", username: undefined, what: "read /p/config" };
  expect(explain(etcd3, error, context)).toMatchObject({
    reason: "unavailable",
    message: "no etcd answers at http://a:2379",
  });
});

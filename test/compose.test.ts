// docker-compose.yml by the Compose Specification's schema, which docker compose v2 goes by; docker-compose 1.29 itself runs
// it in test/deploy/compose.test.ts.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { parse } from "yaml";

const dclint = dirname(createRequire(import.meta.url).resolve("dclint/package.json"));
const { $schema: _, ...schema } = JSON.parse(
  readFileSync(join(dclint, "schemas/compose.schema.json"), "utf8"),
) as Record<string, unknown>;
// The schema's own formats are Go functions of compose, whose values are strings all the same.
const formats = { duration: true, expose: true, ports: true, subnet_ip_address: true } as const;
const fits = new Ajv({ strict: false, formats }).compile(schema);

const read = (): { services: Record<string, Record<string, unknown>> } =>
  parse(readFileSync("docker-compose.yml", "utf8"), { merge: true });

test("it fits the schema", () => {
  fits(read());
  expect(fits.errors ?? []).toEqual([]);
});

test("the schema would tell", () => {
  for (const wrong of [{ heathcheck: {} }, { cap_add: "NET_ADMIN" }, { depends_on: { etcd: {} } }]) {
    const file = read();
    Object.assign(file.services["node1-agent"] ?? {}, wrong);
    expect([wrong, fits(file)]).toEqual([wrong, false]);
  }
});

test("it says no version: compose v2 warns of it", () => {
  expect(Object.keys(read()).filter((key) => !key.startsWith("x-"))).toEqual(["services", "volumes"]);
});

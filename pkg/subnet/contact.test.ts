import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { MemoryLogger } from "../base/logger.ts";
import { Contact } from "./contact.ts";

test("an outage that several loops notice is told once when it begins and once when it ends", async () => {
  const clock = new FakeClock();
  const log = new MemoryLogger();
  let changes = 0;
  const contact = new Contact({ clock, log, changed: () => (changes += 1) });
  contact.back("watch");
  expect(changes).toBe(0);
  contact.lost("watch", new Error("refused"));
  contact.lost("renewal", new Error("deadline"));
  contact.lost("renewal", new Error("deadline"));
  expect(changes, "the same failure again is no news").toBe(2);
  await clock.advance(3000);
  contact.back("watch");
  expect(contact.error?.message).toBe("deadline");
  contact.back("renewal");
  contact.back("renewal");
  expect(contact.error).toBeUndefined();
  expect(log.lines.map((line) => [line.level, line.sentence])).toEqual([
    ["warn", "lost contact with etcd, going on with what is known"],
    ["debug", "no contact with etcd"],
    ["info", "contact with etcd is back"],
  ]);
  expect(log.lines.at(-1)?.fields["afterMs"]).toBe(3000);
});

test("a loop that ends has not found contact, and says no more of it", () => {
  const log = new MemoryLogger();
  const contact = new Contact({ clock: new FakeClock(), log, changed: () => undefined });
  contact.lost("config", new Error("refused"));
  contact.ended("config");
  expect(contact.error).toBeUndefined();
  expect(log.sentences("info")).toEqual([]);
});

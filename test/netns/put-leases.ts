// Puts leases of flannel nodes into etcd one after the other, run by a test in a namespace:
//   put-leases.ts ENDPOINT PREFIX FIRST COUNT EVERY_MS     prints one Put for each when etcd has it

import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../pkg/base/clock.ts";
import { EtcdClient } from "../../pkg/etcd/client.ts";
import { create } from "../../pkg/etcd/kv.ts";
import { flannelKey, flannelValue, subnetOf } from "../flannel-leases.ts";

export interface Put {
  readonly subnet: string;
  /** Milliseconds since 1970 at which etcd had answered. */
  readonly at: number;
}

const [endpoint = "", prefix = "", ...numbers] = process.argv.slice(2);
const [first = 0, count = 0, everyMs = 0] = numbers.map(Number);
const client = await EtcdClient.open({ endpoints: [endpoint] }, { clock: systemClock, random: Math.random });
for (let i = first; i < first + count; i++) {
  await create(client, flannelKey(prefix, i), flannelValue(i), "0");
  const put: Put = { subnet: subnetOf(i), at: performance.timeOrigin + performance.now() };
  process.stdout.write(`${JSON.stringify(put)}\n`);
  await delay(everyMs);
}
client.close();

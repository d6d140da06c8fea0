// Entry of the worker thread that carries the packets (pkg/dataplane/tun/worker.ts).
import { parentPort, workerData } from "node:worker_threads";
import { runPacketLoop, type WorkerData } from "../../pkg/dataplane/tun/worker.ts";

if (!parentPort) throw new Error("the packet loop runs as a worker thread of twilld only");
await runPacketLoop(workerData as WorkerData, parentPort);
parentPort.close();

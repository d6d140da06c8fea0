import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../../pkg/base/clock.ts";
import { MeshSource } from "../../pkg/ui/mesh-source.ts";
import { readPage } from "../../pkg/ui/page-file.ts";
import { serveUi } from "../../pkg/ui/server.ts";
import { AgentUnreachableError } from "../../pkg/api/reach.ts";
import { RefusedError } from "../../pkg/api/control.ts";
import { errorCode } from "../../pkg/base/errors.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { UsageError } from "./usage-error.ts";

const PAGE = "twillctl-ui.html";

/** Serves the page until Ctrl-C. Each --socket is an agent; one of them must answer at the start. */
export async function runUi(call: Call): Promise<Outcome> {
  const given = call.given.filter(({ name }) => name === "socket").map(({ value }) => value);
  const sockets = [...new Set(given.length > 0 ? given : [call.socket])];
  const port = portOf(call.flags.get("port") ?? "0");
  const source = new MeshSource(sockets, systemClock);
  await source.open();
  if (source.views.every(({ answers }) => !answers)) throw new AgentUnreachableError(source.views[0]?.error);
  const page = readPage(pageBeside(process.argv[1] ?? ""));
  const { signal } = call;
  const server = await serveUi({ port, page, subscribe: (read) => source.subscribe(read), signal }).catch(
    (error: unknown) => {
      if (errorCode(error) !== "EADDRINUSE" && errorCode(error) !== "EACCES") throw error;
      throw new RefusedError(`port ${port} cannot be had (${errorCode(error)}): give another --port, or none`);
    },
  );
  call.write(call.json ? `${JSON.stringify({ url: server.url })}\n` : `${server.url}\nCtrl-C ends it.\n`);
  await Promise.all([source.run(signal), server.done]);
  return { text: "", code: EXIT.ok };
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new UsageError(`--port is ${JSON.stringify(text)}: give a number from 0 to 65535`);
  return port;
}

// In a package and after `npm run build` it lies beside the bundle; the sources find it there too.
function pageBeside(program: string): string {
  const dir = dirname(existsSync(program) ? realpathSync(program) : program);
  const places = [join(dir, PAGE), join(dir, "../../dist", PAGE)];
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw new Error(`${PAGE} is missing beside ${program}: npm run build makes it`);
  return found;
}

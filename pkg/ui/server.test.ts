import { once } from "node:events";
import { get, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { buildPage } from "./build-page.ts";
import type { Mesh } from "./mesh.ts";
import { type Page, policyOf } from "./page-file.ts";
import { serveUi, type UiServer } from "./server.ts";
import { WALL } from "./sample.ts";

const MESH: Mesh = { at: WALL, network: "", agents: [], nodes: [], charted: [], ways: [], troubles: [], events: [] };
const PAGE: Page = { html: "<style>a</style><script>b</script>", policy: "default-src 'none'" };

let stop = new AbortController();
let server: UiServer;
let readers = new Set<(mesh: Mesh) => void>();

beforeEach(async () => {
  stop = new AbortController();
  readers = new Set();
  const subscribe = (read: (mesh: Mesh) => void): (() => void) => {
    readers.add(read);
    read(MESH);
    return () => void readers.delete(read);
  };
  server = await serveUi({ port: 0, page: PAGE, subscribe, signal: stop.signal });
});
afterEach(async () => {
  stop.abort();
  await server.done;
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  const asked = request(new URL(path, server.url), { agent: false, ...options });
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let body = "";
  for await (const part of response.setEncoding("utf8")) body += String(part);
  return { status: response.statusCode, headers: response.headers, body };
}

test("the page, with headers that let it ask for nothing else", async () => {
  const { status, headers, body } = await ask("");
  expect([status, body]).toEqual([200, PAGE.html]);
  expect(headers["content-security-policy"]).toBe(PAGE.policy);
  expect(headers).toMatchObject({
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
  });
  expect(headers["access-control-allow-origin"]).toBeUndefined();
});

test("the page that is built asks for nothing from anywhere, and its policy names its own script and style alone", async () => {
  const html = await buildPage();
  expect(html.match(/(src|href)="(?!#|data:)[^"]*"|url\(|@import|https?:\/\/(?!www\.w3\.org)/g)).toBeNull();
  expect(policyOf(html)).toMatch(
    /^default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'sha256-[\w+/]{43}='; img-src data:; connect-src 'self'; /,
  );
});

test("another host's name is refused, whoever made it point here", async () => {
  const { port } = new URL(server.url);
  for (const host of ["evil.example", `evil.example:${port}`, `127.0.0.1:${Number(port) + 1}`, "127.0.0.1"])
    expect(await ask("", { headers: { Host: host } })).toMatchObject({ status: 421 });
  expect((await ask("", { headers: { Host: `localhost:${port}` } })).status).toBe(200);
});

test("another site's page is refused, and everything that is not GET", async () => {
  for (const site of ["cross-site", "same-site"])
    expect((await ask("mesh", { headers: { "Sec-Fetch-Site": site } })).status).toBe(403);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"]) {
    const { status, headers } = await ask("", { method });
    expect([method, status, headers.allow]).toEqual([method, 405, "GET"]);
  }
});

test("whoever does not know the secret learns nothing", async () => {
  const { pathname } = new URL(server.url);
  expect(pathname).toMatch(/^\/[\w-]{22}\/$/);
  const wrong = pathname.replace(/.\/$/, (last) => (last === "A/" ? "B/" : "A/"));
  for (const path of ["/", "/mesh", wrong, `${wrong}mesh`, pathname.slice(0, -1), `/x${pathname}`])
    expect([path, (await ask(path)).status]).toEqual([path, 404]);
  expect((await ask(`${pathname}../../etc/passwd`)).status).toBe(404);
  expect((await ask(`${pathname}other`)).status).toBe(404);
});

test("the mesh as server-sent events, as long as somebody listens", async () => {
  const asked = get(new URL("mesh", server.url));
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  expect(response.headers["content-type"]).toBe("text/event-stream");
  let text = "";
  response.setEncoding("utf8").on("data", (part: string) => (text += part));
  await once(response, "data");
  for (const read of readers) read({ ...MESH, at: WALL + 1000 });
  while (!text.includes(String(WALL + 1000))) await once(response, "data");
  expect(text).toBe(
    `retry: 1000\n\ndata: ${JSON.stringify(MESH)}\n\ndata: ${JSON.stringify({ ...MESH, at: WALL + 1000 })}\n\n`,
  );
  const gone = once(response, "close");
  asked.destroy();
  await gone.catch(() => undefined);
  await expect.poll(() => readers.size).toBe(0);
});

test("nobody is answered but on localhost", async () => {
  const { port } = new URL(server.url);
  // 127.0.0.2 is this host too: what listens on every address would answer there.
  const socket = connect(Number(port), "127.0.0.2");
  await expect(once(socket, "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

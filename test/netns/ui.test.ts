// `twillctl ui` in a real browser: five nodes, and what node1 sends to node3 does not arrive.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import { TWILLCTL } from "../../pkg/lab/programs.ts";
import { noBrowser, openBrowser } from "../browser.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SIZES = { desk: { width: 1280, height: 900 }, telephone: { width: 390, height: 800 } } as const;

const WORKS = '[data-state="up"], [data-state="degraded"]';

const title = rootTitle(
  `twillctl ui${noBrowser ? " (skipped: there is no /usr/bin/chromium: apt install chromium)" : ""}`,
);

describe.skipIf(notRoot || noBrowser)(title, () => {
  let lab: Lab;
  let browser: Browser;
  let page: Page;
  const uis: ChildProcess[] = [];
  /** What the browser was asked to fetch, and complained of. */
  const fetched: string[] = [];
  const complaints: string[] = [];

  async function startUi(nodes: readonly number[]): Promise<string> {
    const sockets = nodes.map((i) => `--socket=${lab.node(i).socket}`);
    const ui = spawn(TWILLCTL, ["ui", "--json", ...sockets], { stdio: ["ignore", "pipe", "inherit"] });
    uis.push(ui);
    const [line] = (await once(createInterface(ui.stdout), "line")) as [string];
    return (JSON.parse(line) as { url: string }).url;
  }

  async function openPage(url: string): Promise<Page> {
    const page = await browser.newPage({ viewport: SIZES.desk, colorScheme: "light" });
    page.setDefaultTimeout(50_000);
    page.on("request", (request) => fetched.push(request.url()));
    page.on("console", (message) => complaints.push(`${message.type()} ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("dialog", (dialog) => complaints.push(`dialog ${dialog.message()}`));
    await page.goto(url);
    return page;
  }

  beforeAll(async () => {
    lab = await Lab.create();
    for (let i = 0; i < 5; i++) await lab.addNode();
    await Promise.all(lab.nodes.map((node) => node.start()));
    await Promise.all(lab.nodes.map((node) => node.ready(100_000)));
    browser = await openBrowser();
    page = await openPage(await startUi([1, 2, 3, 4, 5]));
  });
  afterAll(async () => {
    await browser?.close();
    for (const ui of uis) ui.kill("SIGKILL");
    await lab?.close();
  });

  const subnetOf = (i: number): string => (lab.node(i).subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(".1/", ".0/");
  const keyOf = (i: number): string => `subnets/${subnetOf(i).replace("/", "-")}`;
  const cell = (from: number, to: number, on = page): Locator =>
    on.locator(`#matrix td[data-from="${keyOf(from)}"][data-to="${keyOf(to)}"]`);
  const spoken = (from: number, to: number, on = page): Promise<string | null> =>
    cell(from, to, on).locator(".spoken").textContent();
  const way = (from: number, to: number, on = page): Locator =>
    on.locator(`#map .way[data-from="${keyOf(from)}"][data-to="${keyOf(to)}"]`);
  const stateOf = (from: number, to: number, on = page): Promise<string | null> =>
    way(from, to, on).getAttribute("data-state");
  // A machine that is busy loses echoes, and the page tells it.
  const troubles = async (on = page): Promise<string[]> =>
    (await on.locator("#troubles li > :nth-child(2)").allTextContents()).filter((text) => !/echoes lost/.test(text));
  const probe = (from: number, to: number): Promise<unknown> =>
    lab.node(from).netns.capture([TWILLCTL, `--socket=${lab.node(from).socket}`, "probe", `node${to}`]);
  const focused = (on = page): Promise<string> =>
    on.evaluate(
      "(document.activeElement.querySelector(':scope > title, :scope > .spoken') ?? document.activeElement).textContent",
    );

  test("five nodes that all reach each other", async () => {
    await page.locator("#nodes tbody tr").nth(4).waitFor();
    expect(await page.locator("#nodes tbody th").allTextContents()).toEqual([
      "node1",
      "node2",
      "node3",
      "node4",
      "node5",
    ]);
    expect(await page.locator("#network").textContent()).toBe("10.244.0.0/16, vxlan, VNI 1, port 8472");
    await until(async () => (await page.locator("#map .way").and(page.locator(WORKS)).count()) === 20);
    const shown = await page.locator("#matrix td:not(.self) b").allTextContents();
    expect(shown.filter((text) => !/^(! )?\d+(\.\d+)?$/.test(text))).toEqual([]);
    expect((await troubles()).join()).toMatch(/^(Nothing, as far as the 5 agents that were asked know\.)?$/);
    for (let i = 1; i <= 5; i++) {
      const row = await page.locator(`#nodes tr[data-id="${keyOf(i)}"]`).textContent();
      expect(row).toContain(`node${i}✓ ready${subnetOf(i)}${lab.node(i).address}tun`);
    }
  });

  test("a way that is broken in one direction is shown in that direction", async () => {
    await lab
      .node(3)
      .run([
        "nft",
        "table inet broken { chain c { type filter hook input priority raw; udp dport 8472 ip saddr 172.31.1.1 drop; }; }",
      ]);
    await Promise.all([probe(1, 3), probe(3, 1)]);
    // Each agent hears of it in its own time.
    const broken = page.locator('#map .way[data-state="broken"]');
    await until(async () => (await stateOf(1, 3)) === "broken" && (await broken.count()) === 1);
    await until(async () => (await stateOf(3, 1)) === "up");
    await until(async () => (await troubles()).includes("node1 → node3: nothing that is sent arrives"));
    expect(await page.locator("#map .label.bad").allTextContents()).toEqual(["broken"]);
    expect(await cell(1, 3).locator("b, i").allTextContents()).toEqual(["✕", "broken"]);
    expect(await spoken(1, 3)).toMatch(/^node1 to node3: broken: nothing that is sent arrives; \d+ %/);
    await until(async () => (await cell(3, 1).innerText()).includes("no echo"));
    expect(await cell(3, 1).getAttribute("title")).toContain("lost on the way back");
    expect(await spoken(1, 2)).toMatch(/: (works|degraded: .*)[,;] [\d.]+ ms, \d+ % lost$/);
    await page.locator("#events li.error", { hasText: "node1 → node3: nothing that is sent arrives" }).waitFor();
    await until(async () => (await page.title()) === "(1) twill");
  });

  test("the agent of one node alone tells the same of its own row, and that it knows no other", async () => {
    const alone = await openPage(await startUi([1]));
    await alone.locator("#matrix tbody tr").nth(4).waitFor();
    expect(await alone.locator("#matrix tbody th").allInnerTexts()).toEqual([
      "node1",
      ...[2, 3, 4, 5].map((i) => `node${i}\nnot asked`),
    ]);
    expect(await spoken(3, 1, alone)).toMatch(/: not known: its agent is not asked/);
    // What node3 sends arrives, so that it must be the other direction.
    await until(async () => (await stateOf(1, 3, alone)) === "broken");
    expect(await troubles(alone)).toEqual(["node1 → node3: echoes get no answer, though packets come from there"]);
    await alone.close();
  });

  test("everything is reached by the keyboard", async () => {
    await page.reload();
    await page.locator("#nodes tbody tr").first().waitFor();
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("To what is wrong");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("node1 → node3: nothing that is sent arrives");
    await page.keyboard.press("Enter");
    expect(await page.locator("#details h3").allTextContents()).toEqual(["node1 → node3", "node3 → node1"]);
    expect(await page.locator("#details section").first().innerText()).toMatch(
      /because\s+nothing that is sent arrives/,
    );
    expect(await cell(1, 3).getAttribute("aria-selected")).toBe("true");
    await page.keyboard.press("Escape");
    expect(await page.locator("#details h3").count()).toBe(0);

    // What else is wrong, if anything, comes between.
    for (let i = 0; i < 30 && !(await focused()).startsWith("node1, ready"); i++) await page.keyboard.press("Tab");
    expect(await focused()).toMatch(/^node1, ready, .* to node3 broken/);
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    expect(await focused()).toMatch(/^node2, ready, 10\.244\./);
    expect(await page.locator("#details h3").allTextContents()).toEqual(["node2"]);
    expect(await page.locator('#map .node[aria-pressed="true"]').count()).toBe(1);

    await page.keyboard.press("Tab");
    expect(await focused()).toMatch(/^node1 to node2: /);
    await page.keyboard.press("ArrowRight");
    expect(await focused()).toMatch(/^node1 to node3: broken/);
    await page.keyboard.press(" ");
    expect(await page.locator("#details h3").first().textContent()).toBe("node1 → node3");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Let go");
    // The focus stays where it is while the page draws itself anew.
    const before = await page.locator("#details section").first().innerText();
    await until(async () => (await page.locator("#details section").first().innerText()) !== before);
    expect(await focused()).toBe("Let go");
    await page.keyboard.press("Enter");
    expect(await page.locator("#details h3").count()).toBe(0);
    expect(await focused()).toMatch(/^node1 to node3: /);
  });

  test("light and dark, on a desk and on a telephone: readable by WCAG 2.2 AA, and nothing runs over the edge", async () => {
    const backgrounds: unknown[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      for (const size of Object.values(SIZES)) {
        await page.setViewportSize(size);
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(size.width);
      }
      // The rules take their time, so that each colour scheme is judged at one size, and each size in one of them.
      await page.setViewportSize(colorScheme === "light" ? SIZES.desk : SIZES.telephone);
      expect({ colorScheme, found: await violations(page) }).toEqual({ colorScheme, found: [] });
      backgrounds.push(await page.evaluate("getComputedStyle(document.body).backgroundColor"));
    }
    expect(new Set(backgrounds).size).toBe(2);
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(SIZES.desk);
  }, 120_000);

  test("what is mended, and an agent that goes and comes", async () => {
    await lab.node(3).run(["nft", "delete table inet broken"]);
    await Promise.all([probe(1, 3), probe(3, 1)]);
    await page.locator("#events li", { hasText: "node1 → node3 works again" }).waitFor();
    expect(await stateOf(1, 3)).not.toBe("broken");

    await lab.node(5).kill();
    const state = page.locator(`#nodes tr[data-id="${keyOf(5)}"] td.state`);
    await until(async () => /agent silent for \d+ s, since \d\d:\d\d:\d\d$/.test((await state.textContent()) ?? ""));
    expect((await troubles())[0]).toMatch(/^The agent of node5 does not answer: .*(no agent runs|it is stopping)/);
    expect(await page.locator("#matrix tbody tr").nth(4).locator("th").innerText()).toBe("node5\nagent silent");
    await lab.node(5).start();
    await lab.node(5).ready();
    await until(async () => /^✓ ready$/.test((await state.textContent()) ?? ""));
  });

  test("a name that somebody else wrote is text, whatever it holds", async () => {
    const name = '<img src=x onerror="alert(1)">\u202e</script>';
    const lease = {
      PublicIP: "172.31.1.77",
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: "52:34:41:6f:b6:4d" },
      NodeName: name,
    };
    await lab.etcd.put(`${lab.prefix}/subnets/10.244.250.0-24`, JSON.stringify(lease));
    const row = page.locator('#nodes tr[data-id="subnets/10.244.250.0-24"]');
    await row.waitFor();
    expect(await row.locator("button").textContent()).toBe('<img src=x onerror="alert(1)">?</script>');
    await row.locator("button").click();
    expect(await page.locator("#details h3").textContent()).toBe('<img src=x onerror="alert(1)">?</script>');
    expect(await page.locator("img, iframe, object").count()).toBe(0);
  });

  test("the page has asked nobody but twillctl, and complained of nothing", async () => {
    const strangers = fetched.filter((url) => !/^(http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}\/(mesh)?$|data:)/.test(url));
    expect({ strangers, complaints }).toEqual({ strangers: [], complaints: [] });
  });

  test("Ctrl-C ends it, and the page says since when what it shows is old", async () => {
    const [ui] = uis;
    if (!ui) return expect.fail();
    const ended = once(ui, "exit");
    ui.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    await page
      .locator("#live.stale", { hasText: /^What is shown was true at \d\d:\d\d:\d\d.*: twillctl ui does not answer$/ })
      .waitFor();
  });
});

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe-core finds against WCAG 2.2, levels A and AA. */
async function violations(page: Page): Promise<string[]> {
  const found: unknown = await page.evaluate(
    `${AXE}; axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] })`,
  );
  return (found as { violations: Violation[] }).violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary = "" }) => `${id}: ${html}: ${failureSummary.replaceAll(/\s+/g, " ")}`),
  );
}

import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Debian's Chromium, package `chromium`: no browser is downloaded. */
const CHROMIUM = "/usr/bin/chromium";

/** Whether tests in a browser must be skipped, for `skipIf`. */
export const noBrowser = !existsSync(CHROMIUM);

/** A headless browser with a new empty profile, which resolves no name and asks nobody for anything by itself. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ],
  });
}

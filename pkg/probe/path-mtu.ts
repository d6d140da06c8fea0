import type { Addr } from "../addr/addr.ts";
import type { Echo } from "./echo.ts";

// What every path carries: RFC 791 section 3.1 (a host must take 576), RFC 8200 section 5.
const LEAST_MTU = { 4: 576, 6: 1280 } as const;
const TRIES = 2;

/**
 * The largest packet that comes through to a target that answers, by padded echoes that may not be fragmented: `most`
 * itself in the usual case, else found by halving. 0 where not even the least comes through.
 */
export async function findPathMtu(echo: Echo, target: Addr, most: number, timeoutMs: number): Promise<number> {
  const passes = async (size: number): Promise<boolean> => {
    for (let i = 0; i < TRIES; i++) {
      const { none } = await echo.ping(target, size, timeoutMs);
      if (none === undefined) return true;
      if (none !== "lost") return false;
    }
    return false;
  };
  if (await passes(most)) return most;
  let good: number = Math.min(LEAST_MTU[target.family], most);
  let bad = most;
  if (!(await passes(good))) return 0;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (await passes(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

import type { Host, HostChange, HostError, Route } from "../host/host.ts";
import { routeMetric, sameRoute } from "../host/route.ts";

/** Why routes could not be set: by the index in `desired`, and for those that should have gone as sentences. */
export interface RouteProblems {
  readonly failed: ReadonlyMap<number, HostError>;
  readonly others: readonly string[];
}

/**
 * Makes the routes that are ours equal to `desired`. `actual` is the main table as it is; of it only what `ours` says is
 * taken away, and what stands in the way of a desired route (same destination and metric) is replaced whosever it is.
 * New routes come before old ones go, so that a peer whose way changes is never without one. One that fails does not
 * stop the others.
 */
export async function reconcileRoutes(
  host: Host,
  desired: readonly Route[],
  actual: readonly Route[],
  ours: (route: Route) => boolean,
): Promise<RouteProblems> {
  const wanted = new Map(desired.map((route, i) => [routeKey(route), i]));
  const present = new Set<number>();
  const stale: Route[] = [];
  for (const route of actual) {
    const i = wanted.get(routeKey(route));
    const match = i === undefined ? undefined : desired[i];
    if (i !== undefined && match && sameRoute(route, match)) present.add(i);
    else if (ours(route)) stale.push(route);
  }
  const missing = [...desired.keys()].filter((i) => !present.has(i));
  const failed = new Map<number, HostError>();
  const additions = missing.map((i): HostChange => ({ kind: "route", route: desired[i] as Route }));
  for (const [at, error] of (await host.apply(additions)).entries()) {
    if (error) failed.set(missing[at] as number, error);
  }
  // What a new route has replaced is gone. Where that failed, the old one leads nowhere good and goes too.
  const replaced = new Set(missing.filter((i) => !failed.has(i)).map((i) => routeKey(desired[i] as Route)));
  const deletions = stale
    .filter((route) => !replaced.has(routeKey(route)))
    .map((route): HostChange => ({ kind: "delete-route", route }));
  const others = (await host.apply(deletions)).flatMap((error) => (error ? [error.message] : []));
  return { failed, others };
}

function routeKey(route: Route): string {
  const dst = route.dst ? `${route.dst.family} ${route.dst.value} ${route.dst.length}` : "default";
  return `${dst} ${routeMetric(route)}`;
}

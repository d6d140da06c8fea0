import { dirname } from "node:path";
import { FLAGS } from "../../pkg/agent/flag-table.ts";
import { AgentUnreachableError } from "../../pkg/api/reach.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { printable } from "../../pkg/base/printable.ts";
import { CHECKS, examine, type Found } from "../../pkg/diagnosis/doctor.ts";
import { CNI_BIN_DIR, CNI_CONF_DIR } from "../../pkg/diagnosis/install-cni.ts";
import { askEtcd, realHost, type Surroundings } from "../../pkg/diagnosis/surroundings.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { paint, type Screen } from "./screen.ts";
import { toJson } from "./to-json.ts";

// Peers that are asked anew; of a larger cluster the agent's own measurements must do.
const MOST_ASKED = 40;

/** Looks for what is wrong: it ends with 4 where something is broken, with 1 where there are warnings only. */
export async function runDoctor(call: Call): Promise<Outcome> {
  const found = await examine(await surroundings(call));
  const text = call.json
    ? toJson({ checks: CHECKS.map(({ name }) => name), findings: found })
    : show(found, call.screen);
  return { text, code: exitCode(found) };
}

async function surroundings(call: Call): Promise<Surroundings> {
  const { flags } = call;
  const fallback = (name: string): string => FLAGS.find((flag) => flag.name === name)?.fallback ?? "";
  const fixed = {
    ...realHost(),
    etcdVersion: askEtcd(() => systemClock.wall()),
    paths: {
      subnetFile: flags.get("subnet-file") ?? fallback("subnet-file"),
      runDir: dirname(call.socket),
      cniConfDir: flags.get("cni-conf-dir") ?? CNI_CONF_DIR,
      cniBinDirs: (flags.get("cni-bin-dir") ?? `${CNI_BIN_DIR},/usr/lib/cni`).split(","),
    },
  };
  try {
    const agent = await call.agent();
    const [status, leases] = await Promise.all([agent.status(), agent.leases()]);
    const probes = leases.length <= MOST_ASKED ? (await agent.probe("")).peers : await agent.probes();
    return { ...fixed, status, silence: "", forbidden: false, leases, probes, now: systemClock.wall() };
  } catch (error) {
    if (!(error instanceof AgentUnreachableError)) throw error;
    const { message: silence, forbidden } = error;
    return { ...fixed, status: undefined, silence, forbidden, leases: [], probes: [], now: systemClock.wall() };
  }
}

const COLOURS = { error: "red", warning: "yellow", note: "dim" } as const;

function show(found: readonly Found[], screen: Screen): string {
  const parts = found.map(({ severity, what, evidence, fix, check }) =>
    [
      `${paint(severity, COLOURS[severity], screen)} ${printable(what)} (${check})`,
      `  evidence  ${printable(evidence)}`,
      `  fix       ${printable(fix)}`,
      "",
    ].join("\n"),
  );
  const count = (severity: Found["severity"]): number => found.filter((each) => each.severity === severity).length;
  const [errors, warnings] = [count("error"), count("warning")];
  const sum =
    errors + warnings === 0
      ? paint(`${CHECKS.length} checks found nothing wrong.`, "green", screen)
      : `${CHECKS.length} checks: ${errors} broken, ${warnings} ${warnings === 1 ? "warning" : "warnings"}.`;
  return `${[...parts, sum].join("\n")}\n`;
}

function exitCode(found: readonly Found[]): number {
  if (found.some(({ severity }) => severity === "error")) return EXIT.broken;
  return found.some(({ severity }) => severity === "warning") ? EXIT.notReady : EXIT.ok;
}

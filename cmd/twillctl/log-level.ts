import { LOG_LEVELS } from "../../pkg/api/setting.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { UsageError } from "./usage-error.ts";
import { toJson } from "./to-json.ts";

/** How much the agent logs; with an argument it is set, until the agent is started again. */
export async function runLogLevel(call: Call): Promise<Outcome> {
  const [wanted] = call.args;
  const level = LOG_LEVELS.find((one) => one === wanted);
  if (wanted !== undefined && !level)
    throw new UsageError(`${JSON.stringify(wanted)} is no log level: give ${LOG_LEVELS.join(", ")}`);
  const agent = await call.agent();
  if (!level) {
    const setting = (await agent.settings()).find(({ name }) => name === "log-level");
    const present = setting?.value ?? "";
    const from = setting?.from === "" ? "by default" : `by ${setting?.from}`;
    return { text: call.json ? toJson({ level: present }) : `${present}, ${from}\n`, code: EXIT.ok };
  }
  const { before, startedWith } = await agent.setLogLevel(level);
  const sentence = `twilld logs ${level} from now on; started again, it logs ${startedWith}.\n`;
  return { text: call.json ? toJson({ level, before, startedWith }) : sentence, code: EXIT.ok };
}

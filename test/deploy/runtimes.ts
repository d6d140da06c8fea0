import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Lab } from "../../pkg/lab/lab.ts";
import { makeImage } from "./image.ts";
import { Machine } from "./machine.ts";

/** Why runtimes cannot be tried here; undefined when they can. */
export function whyNot(...programs: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return "needs root to run containers";
  const missing = ["/bin/busybox", ...programs].filter((program) => !existsSync(program));
  return missing.length > 0 ? `needs ${missing.join(", ")}: sh deploy/setup-deploy.sh` : undefined;
}

/** Two machines in one overlay, and the file of an image for their containers. */
export class TwoMachines {
  readonly lab: Lab;
  readonly one: Machine;
  readonly two: Machine;
  readonly image: string;
  readonly #directory: string;

  private constructor(lab: Lab, machines: readonly [Machine, Machine], image: string, directory: string) {
    this.lab = lab;
    [this.one, this.two] = machines;
    this.image = image;
    this.#directory = directory;
  }

  static async boot(): Promise<TwoMachines> {
    const directory = await mkdtemp(join(tmpdir(), "twill-image-"));
    let lab: Lab | undefined;
    try {
      lab = await Lab.create({ nodes: 2 });
      const machines = [await Machine.boot(lab.node(1)), await Machine.boot(lab.node(2))] as const;
      return new TwoMachines(lab, machines, makeImage(directory), directory);
    } catch (error) {
      await lab?.close();
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get machines(): readonly [Machine, Machine] {
    return [this.one, this.two];
  }

  async close(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.close()));
    await this.lab.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

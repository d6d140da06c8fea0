/** How long an agent may take to be ready where nothing is measured by it: the machine may be busy with other things. */
export const PATIENCE_MS = 120_000;

// Part of `npm run build`: writes the page of `twillctl ui` to the file that is given.
import { writeFile } from "node:fs/promises";
import { buildPage } from "../../pkg/ui/build-page.ts";

const [, , file] = process.argv;
if (file === undefined) throw new Error("no file is given");
await writeFile(file, await buildPage());

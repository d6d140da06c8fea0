export interface Page {
  readonly name: string;
  /** What it is, for the line NAME. */
  readonly is: string;
  /** What --help prints. */
  readonly text: string;
}

/** A page of section 8 (man(7)). */
export function manPage(page: Page, version: string): string {
  const { name, is, text } = page;
  return [
    `.TH ${name.toUpperCase()} 8 "" "twill ${version}" "System Administration"`,
    ".SH NAME",
    `${name} \\- ${plain(is)}`,
    ".SH DESCRIPTION",
    ".nf",
    ...text.trimEnd().split("\n").map(plain),
    ".fi",
    "",
  ].join("\n");
}

// A backslash starts an escape, a point or quote at a line's beginning a request; a hyphen that is typed is \-.
function plain(line: string): string {
  return line
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(?=[.'])/, "\\&");
}

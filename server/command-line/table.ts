/** Rows for people: columns as wide as their widest cell, the last one cut where the terminal ends. */
import { printable, type Terminal, type Tint } from "./terminal.ts";

/** A cell, or one whose colour says something too. */
export type Cell = string | { readonly text: string; readonly tint: Tint };

const GAP = "  ";
/** *Units*: characters. A last column narrower than this is left whole. */
const LEAST_LAST_COLUMN = 12;

/** Prints a table, or `nothing` when it has no rows. */
export function printTable(
  terminal: Terminal,
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  nothing: string,
): void {
  if (rows.length === 0) {
    terminal.say(nothing);
    return;
  }
  const texts = rows.map((row) => row.map((cell) => printable(typeof cell === "string" ? cell : cell.text)));
  const widths = head.map((name, column) => Math.max(name.length, ...texts.map((row) => widthOf(row[column] ?? ""))));
  const last = head.length - 1;
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0);
  const room = Math.max(LEAST_LAST_COLUMN, (terminal.columns ?? Number.POSITIVE_INFINITY) - before);
  const line = (cells: readonly string[], tintOf: (column: number) => Tint | undefined): string =>
    cells
      .map((text, column) => {
        const fitted =
          column === last ? cutTo(text, room) : text.padEnd(text.length + (widths[column] ?? 0) - widthOf(text));
        const tint = tintOf(column);
        return tint === undefined ? fitted : terminal.tint(tint, fitted);
      })
      .join(GAP)
      .trimEnd();
  terminal.print(line(head, () => "dim"));
  for (const [index, row] of texts.entries()) {
    const cells = rows[index] ?? [];
    terminal.print(line(row, (column) => tintOf(cells[column])));
  }
}

/** Prints names and values below each other; those without a value are left out. */
export function printFacts(terminal: Terminal, facts: readonly (readonly [name: string, value: Cell])[]): void {
  const told = facts.filter(([, value]) => (typeof value === "string" ? value : value.text) !== "");
  const width = Math.max(...told.map(([name]) => name.length));
  for (const [name, value] of told) {
    const tint = tintOf(value);
    const text = printable(typeof value === "string" ? value : value.text);
    terminal.print(
      `${terminal.tint("dim", name.padEnd(width))}${GAP}${tint === undefined ? text : terminal.tint(tint, text)}`,
    );
  }
}

function tintOf(cell: Cell | undefined): Tint | undefined {
  return cell === undefined || typeof cell === "string" ? undefined : cell.tint;
}

/** Characters, not UTF-16 units. */
function widthOf(text: string): number {
  return Array.from(text).length;
}

function cutTo(text: string, width: number): string {
  return widthOf(text) <= width
    ? text
    : `${Array.from(text)
        .slice(0, width - 1)
        .join("")}…`;
}

/** A table that is printed line by line, as its rows come to be known. */
export class Table {
  readonly #titles: readonly string[];
  readonly #print: (line: string) => void;

  /** Prints the titles. A column is as wide as its title; blanks before a title widen it, blanks behind it align to the left. */
  constructor(titles: readonly string[], print: (line: string) => void) {
    this.#titles = titles;
    this.#print = print;
    print(titles.join("  ").trimEnd());
  }

  row(cells: readonly (string | number)[]): void {
    const padded = this.#titles.map((title, column) => {
      const cell = String(cells[column] ?? "");
      return title.endsWith(" ") ? cell.padEnd(title.length) : cell.padStart(title.length);
    });
    this.#print(padded.join("  ").trimEnd());
  }
}

/** At most `digits` behind the point. */
export function rounded(value: number, digits = 0): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

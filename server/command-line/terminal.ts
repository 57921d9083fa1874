/**
 * Where a command writes. What servers and hosts say reaches a terminal only as plain
 * characters: whoever names a host must not be able to move its cursor or fake a line.
 */
import { styleText } from "node:util";

/** What a word's colour may say; the word says it as well. */
export type Tint = "green" | "yellow" | "red" | "cyan" | "dim" | "bold";

/** One output of a process. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Control and format characters (bidi controls are some), and what ends a line elsewhere. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text without anything that a terminal would obey. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, "?");
}

/** Standard output for results, standard error for what is said beside them. */
export class Terminal {
  readonly #out: Output;
  readonly #err: Output;
  readonly #isColourful: boolean;
  #statusLine = "";

  constructor(out: Output, err: Output, environment: Readonly<Record<string, string | undefined>>) {
    this.#out = out;
    this.#err = err;
    // https://no-color.org: any value but an empty one.
    this.#isColourful = out.isTTY === true && !environment["NO_COLOR"] && environment["TERM"] !== "dumb";
  }

  /** True when a person looks at the results. */
  get isInteractive(): boolean {
    return this.#out.isTTY === true;
  }

  /** *Units*: characters; `undefined` where lines may be of any length. */
  get columns(): number | undefined {
    return this.isInteractive ? (this.#out.columns ?? 80) : undefined;
  }

  /** A line of the result. */
  print(line: string): void {
    const status = this.#statusLine;
    this.showStatus("");
    this.#out.write(`${line}\n`);
    this.showStatus(status);
  }

  /** A sentence beside the result, for people. */
  say(line: string): void {
    const status = this.#statusLine;
    this.showStatus("");
    this.#err.write(`${line}\n`);
    this.showStatus(status);
  }

  /** Replaces the one line at the bottom that says how far something is; an empty one takes it away. */
  showStatus(line: string): void {
    if (!this.isInteractive || line === this.#statusLine) return;
    const cut = line.slice(0, (this.columns ?? 80) - 1);
    this.#out.write(`\r\u001b[K${cut}`);
    this.#statusLine = line;
  }

  /** In colour where there is any. */
  tint(tint: Tint, text: string): string {
    return this.#isColourful ? styleText(tint, text, { validateStream: false }) : text;
  }
}

/** What a doctor finds, on a server as on a host: one thing looked at, how it is, and what to do. */

/** `warn` works today and needs somebody; `fail` keeps something from working. */
export type Verdict = "ok" | "warn" | "fail";

/** One thing that was looked at. */
export interface Finding {
  /** A few words that name it. */
  readonly check: string;
  readonly verdict: Verdict;
  /** How it is, in a sentence. */
  readonly found: string;
  /** What to do, in a sentence; empty when there is nothing. */
  readonly toDo: string;
}

/** It is as it should be. */
export function ok(check: string, found: string): Finding {
  return { check, verdict: "ok", found, toDo: "" };
}

/** It needs somebody, but works. */
export function warn(check: string, found: string, toDo: string): Finding {
  return { check, verdict: "warn", found, toDo };
}

/** It keeps something from working. */
export function fail(check: string, found: string, toDo: string): Finding {
  return { check, verdict: "fail", found, toDo };
}

/** True when something does not work: the process ends with 1 then. */
export function hasFailure(findings: readonly Finding[]): boolean {
  return findings.some(({ verdict }) => verdict === "fail");
}

/** One line a finding, and one below it where there is something to do; the last line counts. */
export function formatFindings(
  findings: readonly Finding[],
  paint: (verdict: Verdict, text: string) => string = (_verdict, text) => text,
): readonly string[] {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, verdict, found, toDo }) => [
    `${paint(verdict, verdict.padEnd(4))}  ${check.padEnd(width)}  ${found}`,
    ...(toDo === "" ? [] : [`${" ".repeat(width + 8)}${toDo}`]),
  ]);
  const count = (wanted: Verdict): number => findings.filter(({ verdict }) => verdict === wanted).length;
  return [...lines, `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed`];
}

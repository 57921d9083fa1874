/** One suite of `npm run bench`. It prints a small table for people and returns the facts for its one JSON line. */
export interface Suite {
  readonly name: string;
  run(print: (line: string) => void, signal: AbortSignal, options: SuiteOptions): Promise<SuiteFacts>;
}

/** What the command line asked for beside the suites' names. */
export interface SuiteOptions {
  /** How many agents, one number after the other, for suites that simulate them; each has its own usual numbers. */
  readonly agents?: readonly number[];
  /** For suites that go on for a while. */
  readonly minutes?: number;
}

/** What a suite found out. */
export interface SuiteFacts {
  /** What should not be, one line each; a suite that only measures has none. */
  readonly problems?: readonly string[];
  readonly [fact: string]: unknown;
}

/** Runs the suites one after another, each with its JSON line. The exit status: 1 when one of them found a problem. */
export async function runSuites(
  suites: readonly Suite[],
  print: (line: string) => void,
  signal: AbortSignal,
  options: SuiteOptions = {},
): Promise<number> {
  let status = 0;
  for (const suite of suites) {
    const facts = await suite.run(print, signal, options);
    print(JSON.stringify({ suite: suite.name, ...facts }));
    if (facts.problems !== undefined && facts.problems.length > 0) status = 1;
  }
  return status;
}

import { describe, expect, test } from "vitest";
import { parseCommandLine } from "../../agent/command-line.ts";
import type { OperatorError } from "../../agent/operator-error.ts";

const DEFAULT_PATHS = { configPath: "/etc/rollcall/agent.json", stateDir: "/var/lib/rollcall-agent" };

describe("the command line", () => {
  test.each([
    [["run"], { kind: "run", ...DEFAULT_PATHS }],
    [["--probe", "--config", "/c"], { kind: "probe", configPath: "/c", stateDir: DEFAULT_PATHS.stateDir }],
    [["--reach", "--state-dir=/s"], { kind: "reach", configPath: DEFAULT_PATHS.configPath, stateDir: "/s" }],
    [["guard", "watch", "--config", "/c"], { kind: "guard", mode: "watch", ...DEFAULT_PATHS, configPath: "/c" }],
    [["doctor", "--json"], { kind: "doctor", isJson: true, ...DEFAULT_PATHS }],
    [["version"], { kind: "version" }],
    [["help"], { kind: "help" }],
  ])("%j is understood", (argv, command) => {
    expect(parseCommandLine(argv)).toEqual(command);
  });

  test("enroll takes its token from the environment unless told otherwise", () => {
    expect(parseCommandLine(["enroll"])).toMatchObject({
      tokenSource: { kind: "environment" },
      servers: [],
      force: false,
      labels: [],
    });
    expect(parseCommandLine(["enroll", "--token-file", "/t"])).toMatchObject({
      tokenSource: { kind: "file", path: "/t" },
    });
    expect(
      parseCommandLine(["enroll", "--token-stdin", "--force", "--server", "a:1", "--server=b:2", "--ca-file", "/ca"]),
    ).toMatchObject({
      tokenSource: { kind: "stdin" },
      servers: ["a:1", "b:2"],
      caFile: "/ca",
      force: true,
    });
  });

  test.each([
    [[], "a command is missing"],
    [["start"], 'unknown command "start"'],
    [["guard"], "guard must be told"],
    [["guard", "sleep"], "guard must be told"],
    [["constructor"], 'unknown command "constructor"'],
    [["run", "--token-stdin"], 'unknown flag "--token-stdin"'],
    [["version", "--config", "/c"], 'unknown flag "--config"'],
    [["run", "--config"], "--config needs a value"],
    [["run", "--config="], "--config needs a value"],
    [["run", "--config", "/a", "--config", "/b"], "--config is given twice"],
    [["enroll", "--token-file", "/t", "--token-stdin"], "exclude each other"],
  ])("%j is refused with exit status 2", (argv, words) => {
    const parse = (): unknown => parseCommandLine(argv);
    expect(parse).toThrow(words);
    expect(parse).toThrow(expect.objectContaining({ exitStatus: 2 }) as OperatorError);
  });

  test("a token typed as an argument is refused and not repeated", () => {
    expect(() => parseCommandLine(["enroll", "secret-token"])).toThrow("there is an argument too many");
    expect(() => parseCommandLine(["enroll", "--token=secret-token"])).toThrow(
      'unknown flag "--token" of this command',
    );
  });
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { JOB_TRANSITIONS, type JobEventName, type JobStateName } from "../server/domain/job-state.ts";
import { repositoryRoot } from "./toolchain/repository-root.ts";

/** The table as ARCHITECTURE.md shows it: one row an event, one column a state. */
function renderTransitions(): string {
  const states = Object.keys(JOB_TRANSITIONS) as JobStateName[];
  const rows: Readonly<Record<JobStateName, Readonly<Partial<Record<JobEventName, JobStateName>>>>> = JOB_TRANSITIONS;
  const events = [...new Set(states.flatMap((state) => Object.keys(rows[state]) as JobEventName[]))];
  const lines = events.map((event) => [event, ...states.map((state) => rows[state][event] ?? "–")]);
  return [["event", ...states], ["event", ...states].map(() => "---"), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

test("ARCHITECTURE.md shows the transitions that the code has", async () => {
  const text = await readFile(join(repositoryRoot, "ARCHITECTURE.md"), "utf8");
  const shown = text.split("<!-- job-transitions:begin -->\n")[1]?.split("\n<!-- job-transitions:end -->")[0];
  expect(shown).toBe(renderTransitions());
});

test("every folder that ARCHITECTURE.md names is there", async () => {
  const text = await readFile(join(repositoryRoot, "ARCHITECTURE.md"), "utf8");
  const named = [...text.matchAll(/^\| `((?:server|agent|proto|gen|test)[\w/.-]*)`/gm)].map((match) => match[1] ?? "");
  expect(named.length).toBeGreaterThan(10);
  const { access } = await import("node:fs/promises");
  for (const path of named) await access(join(repositoryRoot, path));
});

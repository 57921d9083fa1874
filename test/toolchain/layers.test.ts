import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { repositoryRoot } from "./repository-root.ts";

/** Who imports whom, and the rule that refuses it; `undefined` where it is allowed. */
const IMPORTS: readonly (readonly [from: string, to: string, rule: string | undefined])[] = [
  ["server/domain/a.ts", "server/store/b.ts", "server-domain-layer"],
  ["server/domain/b.ts", "gen/words.ts", undefined],
  ["server/store/c.ts", "server/domain/c.ts", undefined],
  ["server/store/d.ts", "server/stream/d.ts", "server-store-layer"],
  ["server/stream/e.ts", "server/store/e.ts", "server-stream-layer"],
  ["server/api/f.ts", "server/store/f.ts", "server-api-layer"],
  ["server/watcher/g.ts", "server/stream/ports.ts", undefined],
  ["server/main.ts", "server/store/h.ts", undefined],
  ["server/i.ts", "agent/i.ts", "server-layer"],
  ["agent/j.ts", "server/domain/j.ts", "agent-layer"],
  ["web/k.ts", "agent/k.ts", "web-layer"],
  ["web/src/o.ts", "gen/words.ts", undefined],
  ["server/p.ts", "web/p.ts", "server-layer"],
  ["gen/l.ts", "server/l.ts", "gen-layer"],
  ["agent/m.ts", "test/m.ts", "no-test-in-product"],
  ["agent/n.ts", "agent/missing.ts", "no-unresolved"],
];

let folder: string;
let violations: readonly string[];

async function write(path: string, code: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), `${code}\nexport const name = ${JSON.stringify(path)};\n`);
}

function importOf(from: string, to: string): string {
  const path = relative(dirname(from), to);
  return `import { name as imported } from "${path.startsWith(".") ? path : `./${path}`}";\nexport { imported };`;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-layers-"));
  for (const path of [".dependency-cruiser.mjs", "tsconfig.json"]) {
    await cp(join(repositoryRoot, path), join(folder, path));
  }
  for (const [, to] of IMPORTS) if (!to.includes("missing")) await write(to, "");
  for (const [from, to] of IMPORTS) await write(from, importOf(from, to));
  await write("agent/left.ts", importOf("agent/left.ts", "agent/right.ts"));
  await write("agent/right.ts", importOf("agent/right.ts", "agent/left.ts"));
  await write("agent/alone.ts", "");
  violations = await cruise();
});

afterAll(() => rm(folder, { recursive: true }));

/** Lines such as `server-layer: server/i.ts → agent/i.ts`. */
async function cruise(): Promise<readonly string[]> {
  const program = join(repositoryRoot, "node_modules", ".bin", "depcruise");
  const options = ["--config", ".dependency-cruiser.mjs", "--output-type", "json"];
  const output = await new Promise<string>((resolve) => {
    execFile(program, [...options, "server", "agent", "web", "gen", "test"], { cwd: folder }, (_error, stdout) =>
      resolve(stdout),
    );
  });
  const { summary } = JSON.parse(output) as {
    summary: { violations: { from: string; to: string; rule: { name: string } }[] };
  };
  return summary.violations.map(
    ({ from, to, rule }) => `${rule.name}: ${from} → ${relative(folder, join(folder, to))}`,
  );
}

test.each(IMPORTS)("%s may import %s unless refused by %s", (from, to, rule) => {
  const refused = violations.filter((line) => line.includes(`: ${from} → `)).map((line) => line.split(":")[0]);
  if (rule === undefined) expect(refused, to).toEqual([]);
  else expect(refused, to).toContain(rule);
});

test("a cycle and a file that nobody imports are refused", () => {
  expect(violations).toContain("no-cycle: agent/left.ts → agent/right.ts");
  expect(violations.some((line) => line.startsWith("no-orphan: agent/alone.ts"))).toBe(true);
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createServerMetrics } from "../../../server/metrics/server-metrics.ts";
import { realClock } from "../../support/real-clock.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";
import { nameOf, readSeries } from "./scrape.ts";

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const board = JSON.parse(await readFile(join(repositoryRoot, "server", "metrics", "grafana-board.json"), "utf8")) as {
  readonly panels: readonly Panel[];
};
const expressions = board.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

/** Labels that Prometheus adds to every series. */
const OF_PROMETHEUS: readonly string[] = ["job", "instance"];

/** The labels of each metric of a server. */
async function readLabels(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  using metrics = createServerMetrics("1.0.0", realClock);
  const page = await metrics.render({
    streams: () => ({ sessions: 0, connections: 0, unauthenticated: 0, refusedConnections: 0 }),
    deliveries: () => ({ active: 0, waiting: 0 }),
    reader: {
      countHosts: () => Promise.resolve({ total: 0, online: 0, behind: 0, updating: 0, openAlerts: 0 }),
      countOpenJobs: () => Promise.resolve(new Map()),
    },
  });
  const labels = new Map<string, Set<string>>();
  for (const series of readSeries(page).keys()) {
    const known = labels.get(nameOf(series)) ?? new Set(OF_PROMETHEUS);
    for (const [, label = ""] of series.matchAll(/([a-z_]+)="/g)) known.add(label);
    labels.set(nameOf(series), known);
  }
  return labels;
}

/** What an expression asks for: metrics, each with the labels that it names for it. */
function readAsked(expr: string): readonly { readonly metric: string; readonly labels: readonly string[] }[] {
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", "));
  const selectors = [...expr.matchAll(/\b([a-z]+(?:_[a-z]+)+)\{([^}]*)\}/g)];
  return selectors.map(([, metric = "", matchers = ""]) => ({
    metric,
    labels: [...[...matchers.matchAll(/([a-z_]+)=/g)].map(([, label = ""]) => label), ...grouped],
  }));
}

describe("the Grafana board", () => {
  test("asks for metrics and labels that a server has, in every expression", async () => {
    const known = await readLabels();
    expect(expressions.length).toBeGreaterThan(25);
    for (const { title, expr } of expressions) {
      const asked = readAsked(expr);
      expect([title, asked.length]).toEqual([title, 1]);
      for (const { metric, labels } of asked) {
        expect([title, metric, known.has(metric)]).toEqual([title, metric, true]);
        for (const label of labels) expect([title, label, known.get(metric)?.has(label)]).toEqual([title, label, true]);
      }
    }
  });

  test("shows every metric that a server has", async () => {
    const asked = new Set(expressions.flatMap(({ expr }) => readAsked(expr).map(({ metric }) => metric)));
    // A histogram's parts may be shown each or together.
    const shown = new Set([...asked].map((metric) => metric.replace(/_(?:bucket|sum|count)$/, "")));
    const known = [...(await readLabels()).keys()].map((metric) => metric.replace(/_(?:bucket|sum|count)$/, ""));
    expect([...new Set(known)].filter((metric) => !shown.has(metric))).toEqual([]);
  });

  test("takes a rate of what only rises, and of nothing else", () => {
    for (const { title, expr } of expressions) {
      const rises = /_(?:total|bucket|sum|count)\{/.test(expr);
      expect([title, expr.includes("rate(")]).toEqual([title, rises]);
    }
  });

  test("lays its panels side by side", () => {
    const cells = new Map<string, string>();
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    for (const { title, gridPos } of board.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, cells.get(`${x} ${y}`), x < 24]).toEqual([title, undefined, true]);
          cells.set(`${x} ${y}`, title);
        }
    }
  });
});

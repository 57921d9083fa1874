/**
 * The dashboard in Chromium over a fleet of ten thousand hosts: how soon its start page
 * is of use, whether its table scrolls without gaps, and how long it makes a person wait
 * while five hundred hosts a second change. The server is a process of its own; what
 * changes is told by agents over their streams and takes the server's own way to the page.
 */
import { loadavg } from "node:os";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { systemClock } from "../../agent/clock-system.ts";
import { openDatabase } from "../../server/store/open-database.ts";
import { addSession, addUser } from "../support/account-fixture.ts";
import { launchChromium } from "../web/support/chromium.ts";
import { median } from "./median.ts";
import { startOwnServer, type OwnServer } from "./own-server.ts";
import type { Suite, SuiteFacts } from "./suite.ts";
import { fillFleet } from "./web/fill-fleet.ts";
import { measureFirstPaint } from "./web/first-paint.ts";
import { measureInput } from "./web/input-latency.ts";
import { measureScroll } from "./web/scroll.ts";
import { Storm } from "./web/storm.ts";

const HOSTS = 10_000;
/** Of these, how many change in the storm. */
const STORM_HOSTS = 250;
const CHANGES_A_SECOND = 500;
const STORM_MS = 10_000;
/** The same inputs before the storm, to tell what is the storm's. */
const REST_MS = 4_000;
const PAINTS = 5;
const SCREEN = { width: 1440, height: 900 };
const [OLD_VERSION, NEW_VERSION] = ["1.0.0", "2.0.0"];

/** What the dashboard promises. */
const MOST = { usefulMs: 1_500, inputP95Ms: 100, rowsDropped: 0 } as const;

/** First useful paint, scrolling, and input in a storm. */
export const webSuite: Suite = {
  name: "web",
  async run(print, signal) {
    await using parts = new AsyncDisposableStack();
    const own = parts.use(await startOwnServer({ version: NEW_VERSION, ...SPARING }, signal));
    print(`${HOSTS} hosts, ${STORM_HOSTS} of them with agents that connect …`);
    await fillFleet(own.database, { hosts: HOSTS - STORM_HOSTS, oldVersion: OLD_VERSION, newVersion: NEW_VERSION });
    const storm = parts.use(await Storm.gather(own.server, STORM_HOSTS, OLD_VERSION));
    const browser = await launchChromium();
    parts.defer(() => browser.close());
    const facts = { ...(await measureRest(own, browser)), ...(await measureStorm(own, browser, storm, signal)) };
    for (const [name, value] of Object.entries(facts)) print(`${name.padEnd(24)}${String(value).padStart(10)}`);
    return { ...facts, problems: findProblems(facts) };
  },
};

/** What is measured is the page: the database does not wait for its disk, nor does anybody call a download stuck. */
const SPARING = {
  settings: { synchronous_commit: "off" },
  durations: { progressDeadlineMs: 600_000 },
  limits: { heartbeatTimeoutMs: 600_000 },
} as const;

async function measureRest(own: OwnServer, browser: Browser) {
  const paints = [];
  for (let turn = 0; turn < PAINTS; turn += 1) {
    // Each with an empty cache.
    await using context = await signIn(own, browser);
    paints.push(await measureFirstPaint(context, `${own.server.web}/hosts`));
  }
  await using context = await signIn(own, browser);
  const page = await context.newPage();
  await page.goto(`${own.server.web}/hosts`);
  await page.locator('[data-testid="connection"][data-state="live"]').first().waitFor();
  const scroll = await measureScroll(page);
  return {
    hosts: HOSTS,
    usefulMs: Math.round(median(paints.map(({ usefulMs }) => usefulMs))),
    slowestUsefulMs: Math.round(Math.max(...paints.map(({ usefulMs }) => usefulMs))),
    liveMs: Math.round(median(paints.map(({ liveMs }) => liveMs))),
    layoutShift: Math.max(...paints.map(({ layoutShift }) => Math.round(layoutShift * 1_000) / 1_000)),
    ...scroll,
  };
}

async function measureStorm(own: OwnServer, browser: Browser, storm: Storm, signal: AbortSignal) {
  await using context = await signIn(own, browser);
  const page = await context.newPage();
  await page.goto(`${own.server.web}/hosts`);
  await page.locator('[data-testid="connection"][data-state="live"]').first().waitFor();
  const atRest = await measureInput(page, systemClock.sleep(REST_MS, signal));
  const meter = await meterCpu(page);
  const before = await readSequence(own);
  const blowing = storm.blow(CHANGES_A_SECOND, STORM_MS, signal);
  const after = blowing.then(() => readSequence(own));
  const input = await measureInput(page, blowing);
  // A report changes a job and its host, and is told as both.
  const changesASecond = Math.round((((await after) - before) / 2 / STORM_MS) * 1_000);
  return {
    inputAtRestP95Ms: atRest.inputP95Ms,
    changesASecond,
    ...input,
    // What the page takes of one core, however few of its turns it got on a busy machine.
    pageCpuPercent: Math.round(((await meter()) / STORM_MS) * 100),
    loadAverage: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  };
}

/** Starts to measure. What it returns tells the time that the page's thread has computed since. *Units*: milliseconds. */
async function meterCpu(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const read = async (): Promise<number> => {
    const { metrics } = await session.send("Performance.getMetrics");
    return (metrics.find(({ name }) => name === "ThreadTime")?.value ?? 0) * 1_000;
  };
  const startedMs = await read();
  return async () => (await read()) - startedMs;
}

/** The number of the newest change that watchers were told. */
async function readSequence(own: OwnServer): Promise<number> {
  const leaving = new AbortController();
  const client = await own.server.fleet();
  try {
    for await (const { sequence } of client.watchFleet({}, { signal: leaving.signal })) return Number(sequence);
  } finally {
    leaving.abort();
  }
  throw new Error("the watch ended before it told a number");
}

async function signIn(own: OwnServer, browser: Browser): Promise<BrowserContext> {
  const db = openDatabase({
    connection: { kind: "url", url: own.databaseUrl },
    applicationName: "bench",
    poolSize: 1,
  });
  try {
    const { rows } = await own.database.query<{ n: string }>("select count(*) as n from users");
    const { secret } = await addSession({ db }, await addUser({ db }, `mara-${rows[0]?.n}`, "admin"));
    const context = await browser.newContext({ viewport: SCREEN });
    await context.addCookies([
      { name: "rollcall_session", value: secret, url: own.server.web, sameSite: "Strict", httpOnly: true },
    ]);
    return context;
  } finally {
    await db.destroy();
  }
}

function findProblems(facts: SuiteFacts): readonly string[] {
  return Object.entries(MOST)
    .filter(([name, most]) => Number(facts[name]) > most)
    .map(([name, most]) => `${name} is ${String(facts[name])}, more than ${most}`);
}

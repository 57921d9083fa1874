import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { ScriptedHost } from "../support/scripted-host.ts";
import { expectNoFaults, startDashboardPlane, untilLive, type DashboardPlane } from "./support/dashboard-plane.ts";
import { inChromium } from "./support/in-chromium.ts";

/** *Units*: bytes, as gzip leaves them; a browser that takes brotli loads less. */
const MOST_BYTES = { script: 150_000, stylesheet: 15_000, font: 55_000 } as const;
const ADDRESSES = [
  "/hosts",
  "/hosts/enrol",
  "/settings/fleet-update",
  "/alerts",
  "/audit",
  "/settings/releases",
  "/settings/users",
  "/settings/tokens",
  "/settings/notifications",
  "/account",
  "/more",
  "/nowhere",
];
const DIRECTIVES = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "connect-src": "'self'",
  "img-src": "'self'",
  "font-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'self'",
  "frame-ancestors": "'none'",
};

inChromium("what a page loads", () => {
  let dashboard: DashboardPlane;
  let hostPath: string;

  beforeAll(async () => {
    dashboard = await startDashboardPlane();
    const host = await ScriptedHost.connect(dashboard.plane, "web-01");
    hostPath = `/hosts/${host.hostId}`;
  });

  afterAll(() => dashboard[Symbol.asyncDispose]());

  /** Opens a page with an empty cache. *Shape*: what the browser loaded for it, with the kind it loaded it as. */
  async function load(page: Page, path: string): Promise<ReadonlyMap<string, string>> {
    const loaded = new Map<string, string>();
    page.on("request", (request) => loaded.set(request.url(), request.resourceType()));
    await page.goto(`${dashboard.plane.web}${path}`);
    await untilLive(page);
    await page.locator("h1").first().waitFor();
    // What the page asks for once it stands: the chart's code, its numbers.
    await page.waitForFunction(() => document.fonts.status === "loaded");
    if (path === "/hosts") await page.getByRole("heading", { name: "Version adoption" }).waitFor();
    return loaded;
  }

  test("the start page loads no more script, style and font than it may", async () => {
    await using visitor = await dashboard.visit("/favicon-plain.svg");
    const loaded = await load(visitor.page, "/hosts");
    const bytes = { script: 0, stylesheet: 0, font: 0 };
    for (const [url, kind] of loaded) {
      if (!Object.hasOwn(bytes, kind)) continue;
      const answer = await fetch(url, { headers: { "accept-encoding": "gzip" } });
      const whole = Buffer.from(await answer.arrayBuffer());
      // Svelte's development build notes the stack of everything: it is larger, and slower by far.
      if (kind === "script") expect(whole.toString(), url).not.toContain("stackTraceLimit");
      const isCompressed = answer.headers.get("content-encoding") === "gzip";
      expect(isCompressed || kind === "font" || whole.length < 1_000, `${url} is compressed`).toBe(true);
      const sent = isCompressed ? Number(answer.headers.get("content-length")) : whole.length;
      // The length is that of this file, compressed.
      if (isCompressed) expect(sent).toBeGreaterThan(gzipSync(whole, { level: 9 }).length * 0.9);
      bytes[kind as keyof typeof bytes] += sent;
    }
    for (const kind of ["script", "stylesheet", "font"] as const) {
      expect(bytes[kind], kind).toBeGreaterThan(0);
      expect(bytes[kind], kind).toBeLessThanOrEqual(MOST_BYTES[kind]);
    }
    expectNoFaults(visitor);
  });

  test("no page asks another origin for anything, and none breaks the policy", async () => {
    await using visitor = await dashboard.visit("/favicon-plain.svg");
    const asked = new Set<string>();
    visitor.context.on("request", (request) => asked.add(new URL(request.url()).origin));
    for (const path of [...ADDRESSES, hostPath]) await load(visitor.page, path);
    expect([...asked]).toEqual([dashboard.plane.web]);
    expectNoFaults(visitor);
  });

  test("every page comes with a policy that lets in files of its own origin alone", async () => {
    for (const path of [...ADDRESSES, hostPath, "/setup", "/sign-in"]) {
      const answer = await fetch(`${dashboard.plane.web}${path}`, { headers: { accept: "text/html" } });
      const policy = (answer.headers.get("content-security-policy") ?? "").split("; ");
      expect(Object.fromEntries(policy.map((directive) => directive.split(/ (.*)/s))), path).toEqual(DIRECTIVES);
      expect(answer.headers.get("cache-control")).toBe("no-store");
      const html = await answer.text();
      expect(html).toContain("<script");
      expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=/i);
    }
  });

  test("a script written into a page does not run, and the browser says which rule refused it", async () => {
    await using visitor = await dashboard.visit("/hosts");
    const { page, faults } = visitor;
    await untilLive(page);
    await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "globalThis.hasRun = true";
      document.body.append(script);
    });
    await expect.poll(() => faults.join("\n")).toContain("script-src 'self'");
    expect(await page.evaluate(() => Reflect.has(globalThis, "hasRun"))).toBe(false);
  });

  test("files whose name holds their digest are kept for ever, and the page is asked for each time", async () => {
    await using visitor = await dashboard.visit("/favicon-plain.svg");
    const loaded = await load(visitor.page, "/hosts");
    const assets = [...loaded.keys()].filter((url) => new URL(url).pathname.startsWith("/assets/"));
    expect(assets.length).toBeGreaterThan(3);
    for (const url of assets) {
      expect(url).toMatch(/-[\w-]{8}\.(?:js|css|woff2)$/);
      const answer = await fetch(url);
      expect(answer.headers.get("cache-control"), url).toBe("public, max-age=31536000, immutable");
    }
  });
});

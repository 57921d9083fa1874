import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadDashboard } from "../../../server/api/dashboard.ts";

let folder: string;
let server: Server;
let web: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-dashboard-"));
  server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  web = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  const closed = once(server, "close");
  server.close();
  await closed;
  await rm(folder, { recursive: true });
});

const SCRIPT = "export const answer = 42;\n".repeat(50);

async function build(): Promise<void> {
  await mkdir(join(folder, "assets"));
  await mkdir(join(folder, ".vite"));
  await writeFile(join(folder, "index.html"), "<!doctype html><title>Rollcall</title>");
  await writeFile(join(folder, "theme.js"), "theme();");
  await writeFile(join(folder, "assets", "index-abc.js"), SCRIPT);
  await writeFile(join(folder, "assets", "index-abc.js.br"), brotliCompressSync(SCRIPT));
  await writeFile(join(folder, "assets", "index-abc.js.gz"), gzipSync(SCRIPT));
  await writeFile(join(folder, ".vite", "manifest.json"), "{}");
}

async function serve(): Promise<void> {
  const dashboard = await loadDashboard(folder);
  server.on("request", (request, response) => {
    if (!dashboard.answer(request, response)) response.writeHead(404).end("passed on");
  });
}

const page = { accept: "text/html,application/xhtml+xml" };

test.each(["/", "/hosts", "/hosts/0b0e1c9a-0000-4000-8000-000000000001", "/settings/fleet-update?x=1"])(
  "a browser that opens %s gets the page, unstored and under its policy",
  async (path) => {
    await build();
    await serve();
    const response = await fetch(`${web}${path}`, { headers: page });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("<title>Rollcall</title>");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const policy = response.headers.get("content-security-policy");
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|data:|https?:/);
  },
);

test("a file with a digest in its name is kept for ever, and comes compressed as the browser can read it", async () => {
  await build();
  await serve();
  for (const encoding of ["br", "gzip", undefined]) {
    const response = await fetch(`${web}/assets/index-abc.js`, {
      headers: { "accept-encoding": encoding ?? "identity" },
    });
    expect(response.headers.get("content-encoding")).toBe(encoding ?? null);
    expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(response.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(await response.text()).toBe(SCRIPT);
  }
});

test("other files are asked for again, and not sent again while they are the same", async () => {
  await build();
  await serve();
  const first = await fetch(`${web}/theme.js`);
  expect(first.headers.get("cache-control")).toBe("no-cache");
  const etag = first.headers.get("etag") ?? "";
  const again = await fetch(`${web}/theme.js`, { headers: { "if-none-match": etag } });
  expect(again.status).toBe(304);
  expect(await again.text()).toBe("");
});

test("HEAD is answered without a body", async () => {
  await build();
  await serve();
  const response = await fetch(`${web}/hosts`, { method: "HEAD", headers: page });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-length")).not.toBe("0");
});

test.each([
  ["GET", "/assets/missing.js"],
  ["GET", "/package.json"],
  ["GET", "/.vite/manifest.json"],
  ["GET", "/rollcall.v1.FleetService/ListHosts"],
  ["POST", "/hosts"],
])("%s %s is none of the dashboard's affairs", async (method, path) => {
  await build();
  await serve();
  const response = await fetch(`${web}${path}`, { method, headers: page });
  expect(response.status).toBe(404);
  expect(await response.text()).toBe("passed on");
});

test("a program that asks for nothing to read is passed on, except at the root", async () => {
  await build();
  await serve();
  expect((await fetch(`${web}/hosts`, { headers: { accept: "*/*" } })).status).toBe(404);
  expect((await fetch(`${web}/`, { headers: { accept: "*/*" } })).status).toBe(200);
});

test("a server without a build says so on its pages, and serves the rest", async () => {
  await serve();
  const response = await fetch(`${web}/hosts`, { headers: page });
  expect(response.status).toBe(503);
  expect(await response.text()).toContain("The dashboard is not built. `npm start` builds it");
  expect(await (await fetch(`${web}/rollcall.v1.X/Y`, { method: "POST" })).text()).toBe("passed on");
});

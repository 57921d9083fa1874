import { readFile, writeFile } from "node:fs/promises";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../../agent/clock-system.ts";
import { DemoFleet } from "../../demo/demo-fleet.ts";
import { describeJob, updateHost } from "../../demo/update-host.ts";
import { buildTestAgents } from "../../support/built-agent.ts";
import { startConnectProxy } from "../../support/connect-proxy.ts";
import { findOpenSockets } from "../open-sockets.ts";

const signal = new AbortController().signal;

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

test("a built agent is updated through a proxy: its stream, its blocks and its successor's stream", async () => {
  await using proxy = await startConnectProxy();
  await using fleet = await DemoFleet.start(await buildTestAgents(), systemClock, signal);
  // What the environment names leads nowhere.
  const launcher = ["env", "https_proxy=http://127.0.0.1:1", "no_proxy=*"];
  const host = await fleet.enrollHost("proxied", fleet.builds.older.binaryPath, signal, { launcher });
  const config = JSON.parse(await readFile(host.configPath, "utf8")) as object;
  const https_proxy = `http://127.0.0.1:${proxy.port}`;
  await writeFile(host.configPath, JSON.stringify({ ...config, https_proxy, no_proxy: "fleet.example" }));
  expect(proxy.requests).toEqual([]);

  fleet.start(host);
  const hostId = await fleet.waitUntilOnline(host.name, signal);
  expect(proxy.requests).toMatchObject([{ server: fleet.server.agents }]);
  const { job, succeeded } = await updateHost(fleet.client, fleet.watch, hostId, signal);
  expect(describeJob(job)).toBe("succeeded");
  expect(succeeded).toBe(true);
  expect(job.bytesDelivered).toBeGreaterThan(50_000n);
  expect(proxy.requests[0]?.bytesDown).toBeGreaterThan(Number(job.bytesDelivered));
  expect(proxy.requests.slice(1)).toMatchObject([{ server: fleet.server.agents }]);
}, 240_000);

import { expect, test } from "vitest";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import { OpenJobHosts } from "../../../server/watcher/open-job-hosts.ts";

const HOST = "host" as HostId;
const job = (id: string, endedAt: Date | null) => ({ id: id as JobId, hostId: HOST, endedAt });

test("a host has an open job from its dispatch to its end, also across a restart of the server", () => {
  const hosts = new OpenJobHosts();
  expect(hosts.has(HOST)).toBe(false);
  hosts.jobChanged(job("one", null));
  expect(hosts.has(HOST)).toBe(true);
  hosts.jobChanged(job("one", new Date(0)));
  expect(hosts.has(HOST)).toBe(false);
  hosts.load([{ hostId: HOST, id: "two" }]);
  expect(hosts.has(HOST)).toBe(true);
});

test("the late word of a job that ended before does not end the next one", () => {
  const hosts = new OpenJobHosts();
  hosts.jobChanged(job("two", null));
  hosts.jobChanged(job("one", new Date(0)));
  expect(hosts.has(HOST)).toBe(true);
});

/**
 * The server is killed at transitions of a fleet update whose hosts run the built
 * agent, each kept running by a supervisor. What a host was updated is told by how
 * often its program was started, and by what stands on its disk.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { hostStates, untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import type { ServerChild } from "../support/server-child.ts";
import { SupervisedFleet } from "./supervised-fleet.ts";

const TIMEOUT_MS = 180_000;
/** *Units*: bytes. No disk leaves as much. */
const NO_DISK = 2 ** 50;

let builds: AgentBuilds;
beforeAll(async () => {
  builds = await buildTestAgents();
}, 240_000);
afterAll(async () => expect(await findOpenSockets()).toEqual([]));

/** The only fleet update there is, once it has ended and its hosts are settled. */
async function untilEnded(server: ServerChild) {
  const fleet = await server.fleet();
  const { fleetUpdates } = await fleet.listFleetUpdates({});
  expect(fleetUpdates).toHaveLength(1);
  return untilFleetUpdateSettled(fleet, fleetUpdates[0]?.id ?? "");
}

describe("hosts with the built agent", () => {
  test.concurrent(
    "are updated each once by servers killed after a dispatch, at a stage, at a commit and between hosts",
    async () => {
      await using fleet = await SupervisedFleet.create(builds);
      const { server } = fleet;
      await server.start({ ROLLCALL_FAULT_POINT: "fleet:dispatch:stored" });
      for (const name of ["a", "b", "c"]) await fleet.addHost(name);
      // The server may die before it answers.
      await (await server.fleet()).startFleetUpdate({ hostIds: fleet.hostIds }).catch(() => undefined);
      await fleet.nextServer("sent:staged");
      await fleet.nextServer("stored:restarting");
      await fleet.nextServer("fleet:settle:stored");
      await fleet.nextServer();

      const found = await untilEnded(server);
      expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
      expect(hostStates(found)).toEqual(["a SUCCEEDED", "b SUCCEEDED", "c SUCCEEDED"]);
      expect(await fleet.tally()).toEqual({ starts: [2, 2, 2], jobs: [1, 1, 1] });
      const [older, newer] = [await digestFile(builds.older.binaryPath), await digestFile(builds.newer.binaryPath)];
      for (const { host } of fleet.hosts) {
        expect((await digestFile(host.paths.binary)).sha256).toBe(newer.sha256);
        expect((await digestFile(host.paths.old)).sha256).toBe(older.sha256);
      }
    },
    TIMEOUT_MS,
  );

  test.concurrent(
    "are left alone once their fleet update was halted, by servers killed at the halt and after it",
    async () => {
      await using fleet = await SupervisedFleet.create(builds);
      const { server } = fleet;
      await server.start({ ROLLCALL_FAULT_POINT: "fleet:halt:stored" });
      await fleet.addHost("a");
      await fleet.addHost("b", NO_DISK);
      await fleet.addHost("c");
      await (await server.fleet()).startFleetUpdate({ hostIds: fleet.hostIds }).catch(() => undefined);
      await fleet.nextServer();
      await server.kill();
      await fleet.nextServer();

      const found = await untilEnded(server);
      expect(found.fleetUpdate).toMatchObject({
        state: FleetUpdateState.HALTED,
        haltReason: "preflight_no_space",
        haltedHostId: fleet.hostIds[1],
      });
      expect(hostStates(found)).toEqual(["a SUCCEEDED", "b FAILED preflight_no_space", "c PENDING"]);
      expect(await fleet.tally()).toEqual({ starts: [2, 1, 1], jobs: [1, 1, 0] });
    },
    TIMEOUT_MS,
  );
});

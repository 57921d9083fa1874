import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { HostStatus, JobState } from "../../../gen/rollcall/v1/model_pb.js";
import { rowActions } from "../../../web/src/pages/hosts/row-actions.ts";
import { host, job } from "../fleet/wire.ts";

const admin = { isAdmin: true, isLive: true, nowMs: 61_000 };
const behind = host("a", { agentVersion: "1.0.0", updateAvailable: true });
const deeds = (...asked: Parameters<typeof rowActions>): string[] => rowActions(...asked).map(({ deed }) => deed);
const problem = (deed: string, ...asked: Parameters<typeof rowActions>): string | undefined =>
  rowActions(...asked).find((action) => action.deed === deed)?.problem;

test("an admin may update a host, anybody may open it and copy what it is called", () => {
  expect(deeds(behind, admin)).toEqual(["open", "update", "copy-name", "copy-id"]);
  expect(problem("update", behind, admin)).toBe("");
  expect(deeds(behind, { ...admin, isAdmin: false })).toEqual(["open", "copy-name", "copy-id"]);
});

test("an update that cannot be started says why", () => {
  expect(problem("update", host("a"), admin)).toBe("Already runs 2.0.0.");
  const offline = host("a", { status: HostStatus.OFFLINE, lastSeenAt: timestampFromMs(1_000), updateAvailable: true });
  expect(problem("update", offline, admin)).toMatch(/^Offline since .+ It can be updated when it reports again\.$/);
  expect(problem("update", behind, { ...admin, isLive: false })).toBe("Not connected to the server.");
});

test("a host that is being updated offers to call that off in place of another update", () => {
  const updating = host("a", { updateAvailable: true, latestJob: job({ state: JobState.DOWNLOADING }) });
  expect(deeds(updating, admin)).toEqual(["open", "cancel", "copy-name", "copy-id"]);
  expect(problem("cancel", updating, { ...admin, isLive: false })).toBe("Not connected to the server.");
  expect(deeds(updating, { ...admin, isAdmin: false })).not.toContain("cancel");
});

test("where only a quarantine is in the way, an update says that it ignores that", () => {
  const labelOf = (...asked: Parameters<typeof rowActions>): string | undefined =>
    rowActions(...asked).find(({ deed }) => deed === "update")?.label;
  const held = host("a", { agentVersion: "1.0.0", updateAvailable: true, targetQuarantined: true });
  expect(labelOf(held, admin)).toBe("Update despite quarantine…");
  expect(problem("update", held, admin)).toBe("");
  expect(problem("update", held, { ...admin, isLive: false })).toBe("Not connected to the server.");
  const alsoTooOld = host("a", { updateAvailable: true, targetQuarantined: true, needsReinstall: true });
  expect(labelOf(alsoTooOld, admin)).toBe("Update agent…");
  expect(problem("update", alsoTooOld, admin)).toMatch(/^Its unit and guard are too old for 2\.0\.0\./);
});

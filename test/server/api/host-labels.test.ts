import { status as Status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InvalidFieldSchema, Refusal_Reason, type Host } from "../../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf, refusalOf } from "../../support/refusal-of.ts";
import { ScriptedAgent, toCallEnd } from "../../support/scripted-agent.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { NOBODY } from "../../support/request-fields.ts";
import { watchUntil } from "../../support/watch-until.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

const LISBON = { key: "site", value: "lisbon" };
const PORTO = { key: "site", value: "porto" };
const WEB = { key: "role", value: "web" };

function wordsOf(host: Host | undefined): readonly string[] {
  return (host?.labels ?? []).map(({ key, value }) => `${key}=${value}`);
}

async function invalidFieldOf(call: Promise<unknown>) {
  return (await failureOf(call)).findDetails(InvalidFieldSchema)[0];
}

describe("a host", () => {
  test("is named and labelled, everybody who watches hears of it, and the log says what was before", async () => {
    const { hostId } = await plane.enrollAgent("named");
    const heard = await watchUntil(plane.fleet, async (change) => {
      if (change.case === "caughtUp") {
        const edit = { hostId, displayName: "The web server", setLabels: [LISBON, WEB] };
        const { host } = await plane.fleet.editHost(edit);
        expect(host).toMatchObject({ hostname: "named", displayName: "The web server" });
        expect(wordsOf(host)).toEqual(["role=web", "site=lisbon"]);
      }
      return change.case === "host" && change.value.displayName !== "" ? change.value : undefined;
    });
    expect(heard).toMatchObject({ id: hostId, displayName: "The web server" });

    const again = await plane.fleet.editHost({ hostId, setLabels: [PORTO], removeLabels: ["role", "nowhere"] });
    expect(again.host?.displayName).toBe("The web server");
    expect(wordsOf(again.host)).toEqual(["site=porto"]);
    expect((await plane.fleet.editHost({ hostId, displayName: "" })).host?.displayName).toBe("");

    const { events } = await plane.fleet.listAuditEvents({ hostId, actionPrefix: "host.edited" });
    expect(events.map(({ details }) => JSON.parse(details) as unknown)).toEqual([
      { display_name: "", display_name_before: "The web server" },
      { labels: "site=porto", labels_before: "role=web, site=lisbon" },
      { display_name: "The web server", display_name_before: "", labels: "role=web, site=lisbon", labels_before: "" },
    ]);
  });

  test("that nothing is changed of is not in the log", async () => {
    const { hostId } = await plane.enrollAgent("unchanged");
    await plane.fleet.editHost({ hostId, displayName: "", removeLabels: ["site"] });
    expect((await plane.fleet.listAuditEvents({ hostId, actionPrefix: "host.edited" })).events).toEqual([]);
  });

  test("keeps what it has when it would get more labels than 32", async () => {
    const { hostId } = await plane.enrollAgent("full");
    const many = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => ({ key: `k${from + index}`, value: "v" }));
    await plane.fleet.editHost({ hostId, setLabels: many(0, 32) });
    const refused = await invalidFieldOf(plane.fleet.editHost({ hostId, displayName: "x", setLabels: many(32, 1) }));
    expect(refused).toMatchObject({
      field: "setLabels",
      problem: "would give the host 33 labels, and 32 are the most",
    });
    const { host } = await plane.fleet.getHost({ hostId });
    expect(host).toMatchObject({ displayName: "" });
    expect(host?.labels).toHaveLength(32);
    await plane.fleet.editHost({ hostId, setLabels: many(40, 1), removeLabels: ["k0"] });
  });

  test("takes no key twice, no name with a space at an end, and none that is not there", async () => {
    const { hostId } = await plane.enrollAgent("refusing");
    expect(await invalidFieldOf(plane.fleet.editHost({ hostId, setLabels: [LISBON, PORTO] }))).toMatchObject({
      field: "setLabels[1].key",
      problem: "names site a second time",
    });
    expect(await invalidFieldOf(plane.fleet.editHost({ hostId, displayName: " x" }))).toMatchObject({
      field: "displayName",
    });
    expect(await refusalOf(plane.fleet.editHost({ hostId: NOBODY }))).toMatchObject({
      reason: Refusal_Reason.HOST_UNKNOWN,
    });
  });
});

describe("a list of hosts", () => {
  test("is narrowed to those with all labels that are asked for, page by page", async () => {
    const hosts = await Promise.all(["list-a", "list-b", "list-c"].map((name) => plane.enrollAgent(name)));
    for (const [index, { hostId }] of hosts.entries())
      await plane.fleet.editHost({ hostId, setLabels: [{ key: "list", value: "yes" }, ...(index === 1 ? [] : [WEB])] });
    const namesOf = async (labels: readonly { key: string; value: string }[], pageToken = "") => {
      const answer = await plane.fleet.listHosts({ labels: [...labels], pageSize: 1, pageToken });
      return { names: answer.hosts.map(({ hostname }) => hostname), next: answer.nextPageToken };
    };
    const wanted = [{ key: "list", value: "yes" }, WEB];
    const first = await namesOf(wanted);
    expect(first.names).toEqual(["list-a"]);
    const second = await namesOf(wanted, first.next);
    expect(second).toEqual({ names: ["list-c"], next: "" });
  });
});

describe("a host that enrols", () => {
  const enrol = async (
    hostname: string,
    ofToken: readonly { key: string; value: string }[],
    own: readonly { key: string; value: string }[],
  ) => {
    const { token } = await plane.fleet.createEnrollmentToken({ label: hostname, labels: [...ofToken] });
    using agent = new ScriptedAgent({ address: plane.agents, caPem: plane.caPem });
    return await agent.enroll({ token, hostname, os: "linux", arch: "x64", labels: [...own] });
  };

  test("has its own labels and those of its token, whose word goes before its own", async () => {
    const { hostId } = await enrol("labelled", [LISBON], [PORTO, WEB]);
    expect(wordsOf((await plane.fleet.getHost({ hostId })).host)).toEqual(["role=web", "site=lisbon"]);
    const { tokens } = await plane.fleet.listEnrollmentTokens({});
    expect(tokens.find(({ label }) => label === "labelled")?.labels).toMatchObject([LISBON]);
  });

  test("with a label that is none is told so, and its token still works", async () => {
    const { token } = await plane.fleet.createEnrollmentToken({ label: "kept" });
    using agent = new ScriptedAgent({ address: plane.agents, caPem: plane.caPem });
    const host = { token, hostname: "kept", os: "linux", arch: "x64" };
    const refused = await agent
      .enroll({ ...host, labels: [{ key: "Site", value: "lisbon" }] })
      .then(() => undefined, toCallEnd);
    expect(refused).toMatchObject({
      code: Status.INVALID_ARGUMENT,
      invalidField: { field: "labels[0].key", problem: "must hold lower-case letters, digits, '_', '.' and '-' only" },
    });
    await agent.enroll(host);
  });
});

describe("a fleet update", () => {
  test("by labels takes the hosts that have all of them, and its record says by which", async () => {
    const [one, other] = [await ScriptedHost.connect(plane, "fleet-a"), await ScriptedHost.connect(plane, "fleet-b")];
    const canary = { key: "wave", value: "canary" };
    await plane.fleet.editHost({ hostId: one.hostId, setLabels: [canary] });
    const preview = await plane.fleet.startFleetUpdate({ labels: [canary], validateOnly: true });
    expect(preview.hosts.map(({ hostname }) => hostname)).toEqual(["fleet-a"]);
    expect(preview.fleetUpdate?.labels).toMatchObject([canary]);

    const both = [one.hostId, other.hostId];
    expect(await invalidFieldOf(plane.fleet.startFleetUpdate({ hostIds: both, labels: [canary] }))).toMatchObject({
      field: "hostIds[1]",
      problem: "names a host without wave=canary",
    });
    const none = await failureOf(plane.fleet.startFleetUpdate({ labels: [{ key: "wave", value: "none" }] }));
    expect(none.rawMessage).toBe("No online host with wave=none is behind 2.0.0. There is nothing to start.");

    const { fleetUpdate } = await plane.fleet.startFleetUpdate({ labels: [canary] });
    const fleetUpdateId = fleetUpdate?.id ?? "";
    await one.commanded();
    await plane.fleet.editHost({ hostId: one.hostId, removeLabels: ["wave"] });
    const kept = await plane.fleet.getFleetUpdate({ fleetUpdateId });
    expect(kept.fleetUpdate?.labels).toMatchObject([canary]);
    expect(kept.hosts).toHaveLength(1);
    await plane.fleet.cancelFleetUpdate({ fleetUpdateId });
    const { events } = await plane.fleet.listAuditEvents({ fleetUpdateId, actionPrefix: "fleet.update_started" });
    expect(JSON.parse(events[0]?.details ?? "{}")).toMatchObject({ labels: "wave=canary", hosts: 1 });
  });
});

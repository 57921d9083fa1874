import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import type { RefusedError } from "../../../server/domain/errors.ts";
import { HelloAdmission } from "../../../server/stream/hello-admission.ts";
import { openResources } from "./open-resources.ts";
import { eventually, expectClean, HOST, numberedHost, OTHER_HOST, startListener } from "./test-listener.ts";

const LIMITS = { hellosAtOnce: 2, returnSpreadMs: 5_000 };

/** The refusal of whoever is not let in, or `undefined`. */
function refusalOf(admission: HelloAdmission, hasOpenJob: boolean): RefusedError | undefined {
  try {
    admission.enter(hasOpenJob);
    return undefined;
  } catch (error) {
    return error as RefusedError;
  }
}

describe("an admission", () => {
  const random = { bytes: () => new Uint8Array([0x80, 0, 0, 0]) };

  test("lets so many in, asks the others to come back, and lets the next in once one is done", () => {
    const admission = new HelloAdmission(LIMITS, random);
    const first = admission.enter(false);
    admission.enter(false);
    expect(refusalOf(admission, false)).toMatchObject({ reason: "server_busy", retryAfterMs: 1_000 + 2_500 });
    first[Symbol.dispose]();
    expect(refusalOf(admission, false)).toBeUndefined();
    expect(admission.inside).toBe(2);
  });

  test("keeps as much room again for hosts with an open job", () => {
    const admission = new HelloAdmission(LIMITS, random);
    expect([false, false, true, true].map((hasOpenJob) => refusalOf(admission, hasOpenJob))).toEqual(
      Array.from({ length: 4 }, () => undefined),
    );
    expect([refusalOf(admission, false), refusalOf(admission, true)].map((refusal) => refusal?.reason)).toEqual([
      "server_busy",
      "server_busy",
    ]);
  });
});

test("in a storm some agents are sent away with a time to come back at, and a host with an open job is not", async () => {
  await using server = await startListener({ hellosAtOnce: 1 });
  const late = numberedHost(1).hostId;
  server.credentials.hosts.add(late);
  server.sessions.busyHosts.add(OTHER_HOST);
  const stored = Promise.withResolvers<void>();
  server.sessions.onOpened = () => stored.promise;
  using slow = server.agent(HOST);
  const opening = slow.hello();
  await server.sessions.until(() => server.sessions.openings.length === 1);

  using sentAway = server.agent(late);
  const refused = sentAway.connect();
  refused.sendHello();
  const end = await refused.ended;
  expect(end).toMatchObject({ code: Status.UNAVAILABLE, refusal: { reason: Refusal_Reason.SERVER_BUSY } });
  expect(end.refusal?.retryAfterMs).toBeGreaterThanOrEqual(1_000);
  expect(end.refusal?.retryAfterMs).toBeLessThanOrEqual(6_000);

  using urgent = server.agent(OTHER_HOST);
  const letIn = urgent.hello();
  await server.sessions.until(() => server.sessions.openings.length === 2);
  stored.resolve();
  await Promise.all([opening, letIn]);
  expect((await sentAway.hello()).welcome.sessionEpoch).toBe(3n);
  await expectClean(server);
});

afterAll(async () => {
  await eventually(() => openResources().length === 0);
});

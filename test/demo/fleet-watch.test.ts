import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { FleetService, WatchFleetResponseSchema } from "../../gen/rollcall/v1/fleet_pb.js";
import { HostSchema, HostStatus, JobSchema, JobState } from "../../gen/rollcall/v1/model_pb.js";
import type { FleetClient } from "./fleet-client.ts";
import { FleetWatch, type FleetView } from "./fleet-watch.ts";

type Message = ReturnType<typeof create<typeof WatchFleetResponseSchema>>;

/** A FleetService whose WatchFleet sends what a test pushes. */
function createFakeFleet(): {
  client: FleetClient;
  push(change: Message["change"]): void;
  end(): void;
  closed: Promise<void>;
} {
  const messages: Message[] = [];
  const closed = Promise.withResolvers<void>();
  let wake = Promise.withResolvers<void>();
  let ended = false;
  const transport = createRouterTransport(({ service }) => {
    service(FleetService, {
      async *watchFleet(_request, { signal }) {
        signal.addEventListener("abort", () => wake.resolve());
        while (!ended && !signal.aborted) {
          const next = messages.shift();
          if (next !== undefined) yield next;
          else await wake.promise;
        }
        closed.resolve();
      },
    });
  });
  const notify = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  return {
    client: createClient(FleetService, transport),
    push(change) {
      messages.push(create(WatchFleetResponseSchema, { change }));
      notify();
    },
    end() {
      ended = true;
      notify();
    },
    closed: closed.promise,
  };
}

const never = new AbortController().signal;
const findStatus = ({ hosts }: FleetView): HostStatus | undefined => hosts.get("h")?.status;

test("a change that comes later is waited for, one that came before is found at once", async () => {
  const fleet = createFakeFleet();
  await using watch = new FleetWatch(fleet.client);
  const waiting = watch.until(findStatus, never);
  const host = create(HostSchema, {
    id: "h",
    status: HostStatus.ONLINE,
    latestJob: { id: "j", state: JobState.STAGED },
  });
  fleet.push({ case: "host", value: host });
  expect(await waiting).toBe(HostStatus.ONLINE);
  expect(await watch.until(({ jobs }) => jobs.get("j")?.state, never)).toBe(JobState.STAGED);
  fleet.push({ case: "job", value: create(JobSchema, { id: "j", state: JobState.SUCCEEDED }) });
  expect(
    await watch.until(({ jobs }) => (jobs.get("j")?.state === JobState.SUCCEEDED ? "done" : undefined), never),
  ).toBe("done");
});

test("who waits is told when the stream ends, then and later", async () => {
  const fleet = createFakeFleet();
  await using watch = new FleetWatch(fleet.client);
  const waiting = watch.until(findStatus, never);
  fleet.end();
  await expect(waiting).rejects.toThrow("the server ended WatchFleet");
  await expect(watch.until(findStatus, never)).rejects.toThrow("the server ended WatchFleet");
});

test("waiting ends when it is called off, and disposing closes the stream", async () => {
  const fleet = createFakeFleet();
  const watch = new FleetWatch(fleet.client);
  const stop = new AbortController();
  const waiting = watch.until(findStatus, stop.signal);
  stop.abort(new Error("called off"));
  await expect(waiting).rejects.toThrow("called off");
  await watch[Symbol.asyncDispose]();
  await fleet.closed;
});

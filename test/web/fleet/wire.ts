/** Messages as the server sends them, for tests of what the page makes of them. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { WatchFleetResponseSchema, type WatchFleetResponse } from "../../../gen/rollcall/v1/fleet_pb.js";
import { HostSchema, HostStatus, JobSchema, type Host, type Job } from "../../../gen/rollcall/v1/model_pb.js";

/** A host that is online and current, unless changed. */
export function host(name: string, changes: MessageInitShape<typeof HostSchema> = {}): Host {
  return create(HostSchema, {
    id: idOf(name),
    hostname: name,
    os: "linux",
    arch: "x64",
    platform: "linux-x64",
    agentVersion: "2.0.0",
    targetVersion: "2.0.0",
    status: HostStatus.ONLINE,
    ...changes,
  });
}

/** A job from 1.0.0 to 2.0.0. */
export function job(changes: MessageInitShape<typeof JobSchema> = {}): Job {
  return create(JobSchema, {
    id: idOf("job"),
    fromVersion: "1.0.0",
    toVersion: "2.0.0",
    createdAt: timestampFromMs(1000),
    ...changes,
  });
}

/** One message of the stream. */
export function message(changes: MessageInitShape<typeof WatchFleetResponseSchema>): WatchFleetResponse {
  return create(WatchFleetResponseSchema, changes);
}

/** A part of a snapshot. */
export function snapshot(hosts: readonly Host[], first = true): WatchFleetResponse {
  return message({ change: { case: "snapshot", value: { hosts: [...hosts], first } } });
}

/** The end of a snapshot. */
export const caughtUp: WatchFleetResponse = message({ change: { case: "caughtUp", value: {} }, resumeToken: "feed.1" });

/** An id made of a name, the same for the same name. */
export function idOf(name: string): string {
  const hex = Buffer.from(name.padEnd(16, "_")).toString("hex").slice(0, 32);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

import { create } from "@bufbuild/protobuf";
import { HelloSchema, type ActiveJob, type Hello, type LastUpdate } from "../gen/rollcall/v1/agent_pb.js";
import type { HostFacts } from "./host-facts.ts";
import { AGENT_PACKAGE } from "./own-version.ts";

/** What agent and server must agree on. It rises when an older server would misunderstand this agent. */
const PROTOCOL_VERSION = 1;

/** What stays the same as long as the process lives. */
export interface ProcessFacts {
  readonly host: HostFacts;
  readonly version: string;
  readonly instanceId: string;
  readonly installRevision: number;
}

/** What an update has to tell. */
export interface UpdateFacts {
  readonly activeJob: ActiveJob | undefined;
  readonly lastUpdate: LastUpdate | undefined;
}

/** What this host refuses. */
export interface TrustFacts {
  readonly sequenceFloor: number;
  /** 0 while no key set is known. */
  readonly keysSequence: number;
}

/** The first message of a session. */
export function createHello(facts: ProcessFacts, update: UpdateFacts, trust: TrustFacts): Hello {
  return create(HelloSchema, {
    agentVersion: facts.version,
    protocolVersion: PROTOCOL_VERSION,
    os: facts.host.os,
    arch: facts.host.arch,
    hostname: facts.host.hostname,
    instanceId: facts.instanceId,
    installRevision: facts.installRevision,
    packages: [{ package: AGENT_PACKAGE, version: facts.version }],
    activeJob: update.activeJob,
    lastUpdate: update.lastUpdate,
    sequenceFloor: BigInt(trust.sequenceFloor),
    keysSequence: BigInt(trust.keysSequence),
  });
}

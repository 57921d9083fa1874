/** The bugs that the simulation has to catch, each a part of the servers made worse. */
import { DEFAULT_DURATIONS } from "../../server/domain/durations.ts";
import type { UpdateTransaction } from "../../server/watcher/ports.ts";
import type { FleetStore, FleetTransaction } from "../../server/worker/ports.ts";
import type { ServerParts } from "./server-process.ts";
import type { RunOptions } from "./world.ts";

/** A seeded bug, and what may be said of a schedule that met it. */
export interface SeededBug {
  readonly name: string;
  readonly options: RunOptions;
  readonly symptom: RegExp;
}

export const SEEDED_BUGS: readonly SeededBug[] = [
  {
    name: "a missing fence: who lost the lease writes on",
    options: { sabotage: withFleets((fleets) => withTransactions(fleets, forgetFence)) },
    symptom: /without the lease/,
  },
  {
    name: "a missing epoch check: an old session's word counts",
    options: {
      sabotage: (parts) => ({
        ...parts,
        updates: {
          ...parts.updates,
          transactionOf: (hostId, work) => parts.updates.transactionOf(hostId, (tx) => work(forgetEpoch(tx))),
        },
      }),
    },
    symptom: /an old session changes/,
  },
  {
    name: "a dispatch after a halt or a cancel",
    options: { sabotage: withFleets((fleets) => goOnAfterTheEnd(fleets)) },
    symptom: /a dispatch after|touched after the end/,
  },
  {
    name: "a dispatch that does not look for a quarantine",
    options: { sabotage: withFleets(forgetQuarantine) },
    symptom: /sends what is quarantined/,
  },
  {
    name: "deadlines that do not move with a clock that jumped",
    options: {
      sabotage: (parts) => ({ ...parts, deadlines: { ...parts.deadlines, absorbClockJump: async () => undefined } }),
    },
    symptom: /before its deadline|outlives its deadline/,
  },
  {
    name: "a lost wake-up: a loop that looks only when it is told to",
    options: { sabotage: sleepWithoutTick },
    symptom: /come to its end/,
  },
];

function withFleets(worsen: (fleets: FleetStore) => FleetStore): (parts: ServerParts) => ServerParts {
  return (parts) => ({ ...parts, fleets: worsen(parts.fleets) });
}

function withTransactions(fleets: FleetStore, worsen: (tx: FleetTransaction) => FleetTransaction): FleetStore {
  return { ...fleets, transaction: (work) => fleets.transaction((tx) => work(worsen(tx))) };
}

function forgetFence(tx: FleetTransaction): FleetTransaction {
  return { ...tx, isLeaseInForce: async (epoch) => (await tx.isLeaseInForce(epoch)) || true };
}

function forgetEpoch(tx: UpdateTransaction): UpdateTransaction {
  return { ...tx, holdSession: async (hostId, epoch) => (await tx.holdSession(hostId, epoch)) || true };
}

/** Takes a fleet update that was halted or cancelled for one that runs. */
function goOnAfterTheEnd(fleets: FleetStore): FleetStore {
  const careless = withTransactions(fleets, (tx) => ({
    ...tx,
    lockFleetUpdate: async (id) => {
      const update = await tx.lockFleetUpdate(id);
      return update && { ...update, state: "running" };
    },
  }));
  return {
    ...careless,
    loadSnapshot: async (id) => {
      const snapshot = await fleets.loadSnapshot(id);
      if (snapshot === undefined || snapshot.state === "running") return snapshot;
      return { ...snapshot, state: "running", failures: 0, lastFailure: undefined };
    },
  };
}

function forgetQuarantine(fleets: FleetStore): FleetStore {
  const careless = withTransactions(fleets, (tx) => ({
    ...tx,
    lockDispatchFacts: async (hostId, toVersion) => {
      const facts = await tx.lockDispatchFacts(hostId, toVersion);
      return facts && { ...facts, isQuarantined: false };
    },
  }));
  return {
    ...careless,
    loadSnapshot: async (id) => {
      const snapshot = await fleets.loadSnapshot(id);
      if (snapshot === undefined) return undefined;
      const hosts = snapshot.hosts.map((host) =>
        host.refusal?.reason === "quarantined" ? { ...host, refusal: undefined } : host,
      );
      return { ...snapshot, hosts };
    },
  };
}

function sleepWithoutTick(parts: ServerParts): ServerParts {
  const { fleetClock } = parts;
  return {
    ...parts,
    fleetClock: {
      now: () => fleetClock.now(),
      monotonicMs: () => fleetClock.monotonicMs(),
      schedule: (delayMs, callback) =>
        delayMs < DEFAULT_DURATIONS.tickIntervalMs
          ? fleetClock.schedule(delayMs, callback)
          : { [Symbol.dispose]: () => undefined },
    },
  };
}

import { OfflinePolicy, type FleetUpdatePolicy } from "../../../../gen/rollcall/v1/rollout_pb.js";
import { count } from "../../../../gen/words/quantities.ts";

/** How a fleet update goes about it. */
export interface Policy {
  readonly maxInFlight: number;
  readonly maxFailures: number;
  readonly offline: OfflinePolicy;
}

/** Host by host, halting at the first thing that goes wrong. */
export const CAREFUL: Policy = { maxInFlight: 1, maxFailures: 0, offline: OfflinePolicy.HALT };

/** The policy of a fleet update, read. */
export function readPolicy(policy: FleetUpdatePolicy | undefined): Policy {
  return {
    maxInFlight: policy?.maxInFlight || 1,
    maxFailures: policy?.maxFailures ?? 0,
    offline: policy?.offline === OfflinePolicy.SKIP ? OfflinePolicy.SKIP : OfflinePolicy.HALT,
  };
}

/** A policy by its parts, in words. */
export function policyWords(policy: Policy): readonly (readonly [question: string, answer: string])[] {
  return [
    ["At a time", count(policy.maxInFlight, "host")],
    [
      "At a failure",
      policy.maxFailures === 0
        ? "Halt at the first"
        : `Halt when more than ${count(policy.maxFailures, "host")} failed`,
    ],
    ["A host is offline", policy.offline === OfflinePolicy.SKIP ? "Skip it" : "Halt"],
    ["Already at target", "Skip it"],
  ];
}

/** A policy in one sentence, as in `One at a time; it halts at the first failure or offline host.` */
export function policySentence(policy: Policy): string {
  const pace = policy.maxInFlight === 1 ? "One at a time" : `${policy.maxInFlight} at a time`;
  const failure = policy.maxFailures === 0 ? "the first failure" : `more than ${count(policy.maxFailures, "failure")}`;
  return policy.offline === OfflinePolicy.SKIP
    ? `${pace}. It halts at ${failure}; a host that is offline is skipped.`
    : `${pace}. It halts at ${failure} or offline host.`;
}

/** Why a fleet update stopped, in sentences. */
import type { Job } from "../rollcall/v1/model_pb.js";
import type { FleetUpdate } from "../rollcall/v1/rollout_pb.js";
import { shortReason } from "../short-reason.ts";
import { explainFailure, type Failure } from "./failure-words.ts";
import { count } from "./quantities.ts";

/** A halt, told whole. */
export interface Halt extends Failure {
  readonly title: string;
}

/** Tells of a halt. `job` is that of the host at which it halted, where there is one. */
export function explainHalt(update: FleetUpdate, host: string, job: Job | undefined): Halt {
  const failure = update.haltReason === "host_offline" ? offline(update, host) : failed(update, host, job);
  return { ...failure, title: `Halted at ${host}: ${failure.short.charAt(0).toLowerCase()}${failure.short.slice(1)}` };
}

function offline(update: FleetUpdate, host: string): Failure {
  return {
    short: "Offline when its turn came",
    happened: `${host} was offline when its turn came, and this fleet update halts at an offline host.`,
    untouched: `${count(update.counts?.succeeded ?? 0, "host runs", "hosts run")} ${update.toVersion}. ${afterwards(update)}`,
    toDo: `Bring ${host} online or start again without it.`,
    codes: [update.toVersion],
  };
}

function failed(update: FleetUpdate, host: string, job: Job | undefined): Failure {
  const failure =
    job === undefined
      ? {
          short: shortReason(update.haltReason),
          happened: `${host} could not be updated to ${update.toVersion}: ${shortReason(update.haltReason).toLowerCase()}.`,
          untouched: `${host} was sent nothing.`,
          toDo: `Open ${host} to see what stands against it, then start again.`,
          codes: [update.toVersion],
        }
      : explainFailure(job, host);
  const toDo = failure.toDo.replace(/\bupdate (?:it )?again\b/i, "start again");
  return { ...failure, untouched: `${failure.untouched} ${afterwards(update)}`, toDo: upperFirst(toDo) };
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What became of the others. */
function afterwards(update: FleetUpdate): string {
  const { pending = 0, updating = 0 } = update.counts ?? {};
  const after =
    pending === 0
      ? "No host came after it."
      : `${pending === 1 ? "The host" : `The ${pending} hosts`} after it ${pending === 1 ? "was" : "were"} sent nothing.`;
  return updating === 0
    ? after
    : `${after} ${count(updating, "host")} had been told to restart and ${updating === 1 ? "is" : "are"} watched to ${updating === 1 ? "its" : "their"} end.`;
}

/** One update of one host, until it ends. */
import { JobSchema, JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import { explainFailure } from "../../gen/words/failure-words.ts";
import { isFailure, isOpen, jobWord } from "../../gen/words/job-words.ts";
import { formatBytes, percentOf } from "../../gen/words/quantities.ts";
import { CommandError } from "./command-error.ts";
import type { Server } from "./connect.ts";
import { EXIT } from "./exit-status.ts";
import { followFleet } from "./follow-fleet.ts";
import { printable } from "./terminal.ts";
import { toJson, type Tool } from "./tool.ts";

/**
 * Tells how a job goes on, each state once, and its end.
 *
 * *Throws* CommandError that says in the dashboard's sentences why it did not succeed.
 */
export async function followJob(tool: Tool, server: Server, job: Job, hostname: string): Promise<void> {
  const { terminal } = tool;
  const ended = await untilEnded(tool, server, job, hostname);
  terminal.showStatus("");
  if (tool.isJson()) terminal.print(toJson(JobSchema, ended));
  if (ended.state === JobState.SUCCEEDED) {
    if (!tool.isJson()) terminal.print(`${hostname} runs ${ended.toVersion}.`);
    return;
  }
  throw jobFailure(ended, hostname);
}

async function untilEnded(tool: Tool, server: Server, job: Job, hostname: string): Promise<Job> {
  let told: JobState | undefined;
  const tell = (current: Job): void => {
    if (tool.isJson()) return;
    tool.terminal.showStatus(`${hostname}: ${jobProgress(current)}`);
    if (current.state === told || !isOpen(current.state)) return;
    told = current.state;
    tool.terminal.print(`${hostname}: ${jobWord(current.state).word.toLowerCase()}`);
  };
  for await (const change of followFleet(tool, server)) {
    let current: Job | undefined;
    if (change.case === "job" && change.value.id === job.id) current = change.value;
    // What ended before the watch began is in no change.
    else if (change.case === "caughtUp") current = (await server.fleet.getJob({ jobId: job.id })).job;
    if (current === undefined) continue;
    tell(current);
    if (!isOpen(current.state)) return current;
  }
  throw new CommandError("The server ended the watch before the update did.", EXIT.serverFailed);
}

/** `Downloading, 41 % of 109 MB`. */
export function jobProgress(job: Job): string {
  const percent = job.state === JobState.DOWNLOADING ? percentOf(job.bytesDone, job.bytesTotal) : undefined;
  const { word } = jobWord(job.state);
  return percent === undefined ? word : `${word}, ${percent} % of ${formatBytes(job.bytesTotal)}`;
}

/** What became of a job that did not succeed. */
function jobFailure(job: Job, hostname: string): CommandError {
  if (!isFailure(job.state)) return new CommandError(`The update of ${hostname} was cancelled.`, EXIT.failed);
  const { short, happened, untouched, toDo } = explainFailure(job, hostname);
  return new CommandError(printable(`${short}. ${happened} ${untouched} ${toDo}`), EXIT.failed);
}

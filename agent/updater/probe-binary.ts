/**
 * Runs the new binary once before it is trusted with the host: `--probe` prints
 * its version, reads its configuration, and neither writes nor connects.
 *
 * It gets an empty environment, no input, 10 s and 4 KiB, in a process group of
 * its own that is killed at the end whatever it left running.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { isVersion } from "../../gen/version.ts";
import type { Clock } from "../clock.ts";
import { oneLine, printablePath } from "./one-line.ts";
import { hasErrorCode, systemErrorCode } from "./system-error.ts";
import { UpdateError, type FailureDetails } from "./update-error.ts";

const MAX_OUTPUT_BYTES = 4096;
const MAX_DETAIL_LENGTH = 300;

/** What to run and what it must say. */
export interface ProbeRequest {
  readonly path: string;
  readonly configPath: string;
  readonly stateDir: string;
  readonly expectedVersion: string;
  readonly limitMs: number;
}

interface ProbeOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly isTooLong: boolean;
}

type ProbeEnd =
  | { readonly kind: "exited"; readonly status: number | null; readonly output: ProbeOutput }
  | { readonly kind: "timedOut" };

/** Throws UpdateError (probe_failed, preflight_not_executable) unless the binary prints its version and exits with 0. */
export async function probeBinary(request: ProbeRequest, clock: Clock, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = spawn(request.path, ["--probe", "--config", request.configPath, "--state-dir", request.stateDir], {
    cwd: "/",
    detached: true,
    env: {},
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  const limit = new AbortController();
  try {
    const timedOut = clock
      .sleep(request.limitMs, AbortSignal.any([signal, limit.signal]))
      .then((): ProbeEnd => ({ kind: "timedOut" }));
    judge(request, await Promise.race([runToEnd(child), timedOut]));
  } catch (error) {
    throw signal.aborted ? signal.reason : describeFailure(request, error);
  } finally {
    limit.abort();
    killGroup(child);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

async function runToEnd(
  child: ChildProcess & { readonly stdout: Readable; readonly stderr: Readable },
): Promise<ProbeEnd> {
  const stdout = collect(child, child.stdout);
  const stderr = collect(child, child.stderr);
  const [status] = (await once(child, "exit")) as [number | null];
  // What it left running may hold the pipes open.
  killGroup(child);
  const output = await Promise.all([stdout, stderr]);
  return {
    kind: "exited",
    status,
    output: { stdout: output[0].text, stderr: output[1].text, isTooLong: output[0].isTooLong || output[1].isTooLong },
  };
}

async function collect(
  child: ChildProcess,
  stream: Readable,
): Promise<{ readonly text: string; readonly isTooLong: boolean }> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      length += chunk.length;
      chunks.push(chunk);
      if (length > MAX_OUTPUT_BYTES) break;
    }
  } catch (error) {
    // The pipe is destroyed under it once the probe is over.
    if (!(error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE")) throw error;
  }
  const isTooLong = length > MAX_OUTPUT_BYTES;
  if (isTooLong) killGroup(child);
  return { text: Buffer.concat(chunks).toString("utf8", 0, MAX_OUTPUT_BYTES), isTooLong };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  // Windows has no groups.
  child.kill("SIGKILL");
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    if (!hasErrorCode(error, "ESRCH", "EPERM")) throw error;
  }
}

function judge(request: ProbeRequest, end: ProbeEnd): void {
  if (end.kind === "timedOut")
    throw probeFailure(request, { detail: `it did not end within ${request.limitMs / 1000} s` });
  const { status, output } = end;
  if (output.isTooLong) throw probeFailure(request, { detail: `it printed more than ${MAX_OUTPUT_BYTES} bytes` });
  const exitStatus = status ?? undefined;
  if (status !== 0) {
    const said = lastLine(output.stderr) || lastLine(output.stdout);
    const ended = status === null ? "it was ended by a signal" : `it exited with status ${status}`;
    throw probeFailure(request, { exitStatus, detail: said === "" ? ended : oneLine(said, MAX_DETAIL_LENGTH) });
  }
  const [version = ""] = output.stdout.split("\n");
  if (version === request.expectedVersion) return;
  const actualVersion = isVersion(version) ? version : undefined;
  throw probeFailure(request, {
    exitStatus,
    actualVersion,
    detail: oneLine(`it says that it is version ${version || "(nothing)"}`, MAX_DETAIL_LENGTH),
  });
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

function probeFailure(request: ProbeRequest, details: FailureDetails, cause?: unknown): UpdateError {
  const facts = { path: printablePath(request.path), expectedVersion: request.expectedVersion, ...details };
  return new UpdateError(JobReason.PROBE_FAILED, facts, cause);
}

/** What the system said when it would not even start the binary. */
function describeFailure(request: ProbeRequest, error: unknown): unknown {
  const errorCode = systemErrorCode(error);
  if (errorCode === undefined) return error;
  const detail = `it could not be started (${errorCode})`;
  if (errorCode !== "EACCES") return probeFailure(request, { errorCode, detail }, error);
  return new UpdateError(
    JobReason.PREFLIGHT_NOT_EXECUTABLE,
    { path: printablePath(request.path), errorCode, detail },
    error,
  );
}

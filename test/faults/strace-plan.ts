/**
 * Stops or fails a program at one chosen system call on chosen files.
 *
 * strace counts `when=N` for each thread and each call of its own, so the
 * program gets one thread for its file calls. A kill lands before the Nth call
 * runs. Whatever the program does to other files is not counted and not touched.
 *
 * Not with `--seccomp-bpf`: with it strace 6.1 lets the chosen call pass unharmed.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** A program whose steps can be interrupted. */
export interface FaultSubject {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute names of the files and folders whose calls count. */
  readonly paths: readonly string[];
}

/** One system call: the `nth` of this name on the subject's paths, from 1. */
export interface FaultPoint {
  readonly syscall: string;
  readonly nth: number;
}

/** A call as the dry run saw it. */
export interface TracedCall extends FaultPoint {
  /** With the first name among its arguments, the folder of the run cut out; `O_CREAT` when it creates that. */
  readonly shown: string;
}

/** What to do at a point: kill the program, let that one call fail with this error, or hold it up for two seconds. */
export type Fault = "kill" | "EIO" | "ENOSPC" | "EPERM" | "slow";

/** How a run ended. */
export interface RunEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a run with a fault in it ended. */
export interface FaultyEnd extends RunEnd {
  /** False when the run never came to the point. */
  readonly wasHit: boolean;
}

/** All calls that change files, or make changes durable, or open what is read back. */
const CALLS =
  "openat,write,pwrite64,fsync,fdatasync,ftruncate,link,linkat,rename,renameat2,unlink,unlinkat,close,fchmod,copy_file_range,sendfile";

/** Runs the subject undisturbed and lists its calls in their order. *Throws* Error when it does not exit with 0. */
export async function traceCalls(subject: FaultSubject, root: string): Promise<readonly TracedCall[]> {
  const { end, trace } = await runTraced(subject, []);
  if (end.status !== 0)
    throw new Error(`the undisturbed run ended with ${end.status ?? end.signal}: ${end.stdout}${end.stderr}`);
  return parseTrace(trace, root);
}

/** Runs the subject with one fault. Every call of the name fails when `nth` is left out. */
export async function runWithFault(
  subject: FaultSubject,
  point: { readonly syscall: string; readonly nth?: number },
  fault: Fault,
): Promise<FaultyEnd> {
  const when = point.nth === undefined ? "" : `:when=${point.nth}`;
  const effect = fault === "kill" ? "signal=SIGKILL" : fault === "slow" ? "delay_enter=2000000" : `error=${fault}`;
  const { end, trace } = await runTraced(subject, ["-e", `inject=${point.syscall}:${effect}${when}`]);
  return { ...end, wasHit: fault === "kill" ? end.signal === "SIGKILL" : /\((?:INJECTED|DELAYED)\)/.test(trace) };
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<RunEnd> {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<Pick<RunEnd, "status" | "signal">>((resolve, reject) => {
    child.once("error", reject).once("close", (status, signal) => resolve({ status, signal }));
  });
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { ...end, stdout, stderr };
}

async function runTraced(
  subject: FaultSubject,
  injection: readonly string[],
): Promise<{ readonly end: RunEnd; readonly trace: string }> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-trace-"));
  try {
    const trace = join(folder, "calls");
    const paths = subject.paths.flatMap((path) => ["-P", path]);
    const args = [
      "-f",
      "-qq",
      "-o",
      trace,
      ...paths,
      "-e",
      `trace=${CALLS}`,
      ...injection,
      subject.command,
      ...subject.args,
    ];
    const end = await run("strace", args, { PATH: process.env["PATH"] ?? "", UV_THREADPOOL_SIZE: "1", ...subject.env });
    return { end, trace: await readFile(trace, "utf8") };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function parseTrace(trace: string, root: string): readonly TracedCall[] {
  const counts = new Map<string, number>();
  const calls: TracedCall[] = [];
  for (const line of trace.split("\n")) {
    // Not the second half of a call that another thread interrupted, nor a signal.
    const [, syscall, rest = ""] = /^\d+ +([a-z_0-9]+)\((.*)$/.exec(line) ?? [];
    if (syscall === undefined) continue;
    const nth = (counts.get(syscall) ?? 0) + 1;
    counts.set(syscall, nth);
    const name = /"[^"]*"/.exec(rest)?.[0].replaceAll(root, "") ?? "";
    calls.push({ syscall, nth, shown: `${syscall} ${nth} ${name}${rest.includes("O_CREAT") ? " O_CREAT" : ""}` });
  }
  return calls;
}

/**
 * Stops or fails a program at one chosen system call on chosen files.
 *
 * strace counts `when=N` for each thread and each call of its own, so the
 * program gets one thread for its file calls. A kill lands before the Nth call
 * runs. Whatever the program does to other files is not counted and not touched.
 *
 * With `--seccomp-bpf` a program is stopped at the calls of interest alone, which
 * halves what a run costs; but then strace 6.1 sends no signal, so kills do without.
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
  /** What others do while it runs, for a program that waits to be told. The run ends when both have. */
  readonly attend?: (program: RunningProgram) => Promise<void>;
}

/** A program that is under way. */
export interface RunningProgram {
  /** Aborted once the program has ended, however it ended. */
  readonly gone: AbortSignal;
  /** Asks it to end. */
  stop(): void;
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

const FAST = "--seccomp-bpf";
const EFFECTS: Readonly<Record<Fault, string>> = {
  kill: "signal=SIGKILL",
  slow: "delay_enter=2000000",
  EIO: "error=EIO",
  ENOSPC: "error=ENOSPC",
  EPERM: "error=EPERM",
};

/** Runs the subject undisturbed and lists its calls in their order. *Throws* Error when it does not end well. */
export async function traceCalls(subject: FaultSubject, root: string): Promise<readonly TracedCall[]> {
  const { end, trace } = await runTraced(subject, [FAST]);
  if (!hasEndedWell(end))
    throw new Error(`the undisturbed run ended with ${end.status ?? end.signal}: ${end.stdout}${end.stderr}`);
  return parseTrace(trace, root);
}

/** Whether a program ended of its own accord and content; agents end by SIGTERM then. */
export function hasEndedWell({ status, signal }: Pick<RunEnd, "status" | "signal">): boolean {
  return status === 0 || signal === "SIGTERM";
}

/** Runs the subject with one fault. Every call of the name fails when `nth` is left out. */
export async function runWithFault(
  subject: FaultSubject,
  point: { readonly syscall: string; readonly nth?: number },
  fault: Fault,
): Promise<FaultyEnd> {
  const when = point.nth === undefined ? "" : `:when=${point.nth}`;
  const injection = ["-e", `inject=${point.syscall}:${EFFECTS[fault]}${when}`];
  const { end, trace } = await runTraced(subject, fault === "kill" ? injection : [FAST, ...injection]);
  return { ...end, wasHit: fault === "kill" ? end.signal === "SIGKILL" : /\((?:INJECTED|DELAYED)\)/.test(trace) };
}

/** Runs the subject undisturbed and untraced. */
export async function runUndisturbed({ command, args, env, attend }: FaultSubject): Promise<RunEnd> {
  return await run(command, args, env, attend);
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  attend?: FaultSubject["attend"],
): Promise<RunEnd> {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const gone = new AbortController();
  const ended = new Promise<Pick<RunEnd, "status" | "signal">>((resolve, reject) => {
    child.once("error", reject).once("close", (status, signal) => resolve({ status, signal }));
  });
  const leave = (): void => gone.abort(new Error(`${command} ended`));
  child.once("error", leave).once("exit", leave);
  const stop = (): void => void child.kill("SIGTERM");
  const attended = attend?.({ gone: gone.signal, stop }).then(
    () => undefined,
    (error: unknown) => {
      stop();
      return { error };
    },
  );
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const failure = await attended;
  if (failure !== undefined) throw failure.error;
  return { ...end, stdout, stderr };
}

async function runTraced(
  subject: FaultSubject,
  options: readonly string[],
): Promise<{ readonly end: RunEnd; readonly trace: string }> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-trace-"));
  try {
    const trace = join(folder, "calls");
    const paths = subject.paths.flatMap((path) => ["-P", path]);
    // Tracing from a grandchild leaves the program itself as the child, so that a signal reaches it.
    const daemonized = subject.attend === undefined ? [] : ["-D"];
    const tracing = [...daemonized, "-f", "-qq", "-o", trace, ...paths, "-e", `trace=${CALLS}`, ...options];
    const env = { PATH: process.env["PATH"] ?? "", UV_THREADPOOL_SIZE: "1", ...subject.env };
    const end = await run("strace", [...tracing, subject.command, ...subject.args], env, subject.attend);
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

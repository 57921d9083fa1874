/**
 * A campaign: the same program, interrupted once at every point of its run, and
 * after each interruption the same questions. It knows neither the program nor
 * the questions; both come with the case.
 */
import {
  runUndisturbed,
  runWithFault,
  traceCalls,
  type Fault,
  type FaultPoint,
  type FaultSubject,
  type RunEnd,
  type TracedCall,
} from "./strace-plan.ts";

/** One host, freshly prepared, with the program that is about to update it. */
export interface FaultCase extends AsyncDisposable {
  readonly subject: FaultSubject;
  /** The folder that differs between two cases. */
  readonly root: string;
  /** Asks whether the host is as it must be, now and after recovery. *Shape*: what is not, in words. */
  findProblems(fault: Fault | "none", end: RunEnd): Promise<readonly string[]>;
}

/** Makes the host of one run. */
export type PrepareCase = () => Promise<FaultCase>;

/** What a campaign did and found. */
export interface CampaignReport {
  readonly runs: number;
  /** Each with its point and fault. */
  readonly problems: readonly string[];
}

/**
 * Lists a program's points from two undisturbed runs.
 *
 * *Throws* Error when the runs differ: then a number would not mean the same call twice. With `order: "counts"`
 * only the number of calls of each name has to agree, for programs that do several things at once.
 */
export async function planPoints(
  prepare: PrepareCase,
  order: "exact" | "counts" = "exact",
): Promise<readonly TracedCall[]> {
  const trace = async (): Promise<readonly TracedCall[]> => {
    await using host = await prepare();
    return await traceCalls(host.subject, host.root);
  };
  // One after the other: hosts that share a file by its links see each other's in its times, and read it once more.
  const [calls, again] = [await trace(), await trace()];
  const [first, second] = [describeCalls(calls, order), describeCalls(again, order)];
  if (first !== second) throw new Error(`two undisturbed runs differ:\n${first}\n--\n${second}`);
  return calls;
}

function describeCalls(calls: readonly TracedCall[], order: "exact" | "counts"): string {
  if (order === "exact") return calls.map((call) => call.shown).join("\n");
  return calls
    .map((call) => `${call.syscall} ${call.nth}`)
    .toSorted()
    .join("\n");
}

/** One case of a campaign: this fault at this point, or an undisturbed run. */
export interface CampaignJob {
  readonly point: FaultPoint | undefined;
  readonly fault: Fault | "none";
}

/** Runs one case for each fault at each point, and an undisturbed one, `lanes` at a time. */
export async function runCampaign(
  prepare: PrepareCase,
  points: readonly FaultPoint[],
  faults: readonly Fault[],
  lanes: number,
): Promise<CampaignReport> {
  return await runJobs(
    prepare,
    [...faults.flatMap((fault) => points.map((point) => ({ point, fault }))), { point: undefined, fault: "none" }],
    lanes,
  );
}

/** Runs these cases, `lanes` at a time. `onEnd` is told after each what it found. */
export async function runJobs(
  prepare: PrepareCase,
  jobs: readonly CampaignJob[],
  lanes: number,
  onEnd: (found: readonly string[]) => void = () => undefined,
): Promise<CampaignReport> {
  const problems: string[] = [];
  const queue = jobs.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      // One iterator for all lanes: each takes the next job when it is free.
      for (const { point, fault } of queue) {
        const where = `${fault} at ${point === undefined ? "the end" : `${point.syscall} ${point.nth}`}`;
        const found = (await runOnce(prepare, point, fault)).map((problem) => `${where}: ${problem}`);
        problems.push(...found);
        onEnd(found);
      }
    }),
  );
  return { runs: jobs.length, problems };
}

async function runOnce(
  prepare: PrepareCase,
  point: FaultPoint | undefined,
  fault: Fault | "none",
): Promise<readonly string[]> {
  await using host = await prepare();
  if (point === undefined || fault === "none") {
    return await host.findProblems("none", await runUndisturbed(host.subject));
  }
  const end = await runWithFault(host.subject, point, fault);
  if (!end.wasHit) return [`the point was missed: ${end.status ?? end.signal} ${end.stdout}${end.stderr}`];
  // Awaited here: the host is gone once this returns.
  return await host.findProblems(fault, end);
}

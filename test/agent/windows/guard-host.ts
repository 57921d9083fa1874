/** Real files of a host in the middle of an update, and a guard whose time and questions a test decides. */
import { writeFile } from "node:fs/promises";
import { NO_REASON, writeJournal } from "../../../agent/updater/journal.ts";
import { look, stopped, watch, type GuardParts } from "../../../agent/windows/guard.ts";
import { FakeClock } from "../fake-clock.ts";
import { RecordingLog } from "../recording-log.ts";
import { createUpdateFixture, JOB_ID, sha256, type UpdateFixture } from "../updater/update-fixture.ts";

/** A host on which 2.0.0 took the place of 1.0.0 and is not confirmed. */
export class GuardHost implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordingLog();
  readonly fixture: UpdateFixture;
  /** What `guard watch` and taskkill would have been asked for, in order. */
  readonly asked: string[] = [];
  isServerReached: () => boolean = () => true;
  isServerReachedByNew: () => boolean = () => true;
  readonly #parts: GuardParts;

  private constructor(fixture: UpdateFixture) {
    this.fixture = fixture;
    this.#parts = {
      paths: fixture.paths,
      clock: this.clock,
      log: this.log,
      reachesServer: async () => this.isServerReached(),
      newReachesServer: async () => this.isServerReachedByNew(),
      startWatch: () => void this.asked.push("watch"),
      endAgent: async () => void this.asked.push("end"),
    };
  }

  static async create(): Promise<GuardHost> {
    const fixture = await createUpdateFixture();
    const { paths, oldBytes, newBytes } = fixture;
    await writeFile(paths.old, oldBytes, { mode: 0o755 });
    await writeFile(paths.binary, newBytes, { mode: 0o755 });
    await writeJournal(paths, {
      state: "unconfirmed",
      jobId: JOB_ID,
      fromSha256: sha256(oldBytes),
      toSha256: sha256(newBytes),
      fromVersion: "1.0.0",
      toVersion: "2.0.0",
      sequence: 7,
      bootId: "none",
      uptimeMs: 1,
      reason: NO_REASON,
    });
    return new GuardHost(fixture);
  }

  look(): Promise<void> {
    return look(this.#parts);
  }

  stopped(): Promise<void> {
    return stopped(this.#parts);
  }

  /** Watches to the end, moving time on whenever the guard waits. `each` is called before each second. */
  async watch(each: (second: number) => Promise<void> = async () => undefined): Promise<void> {
    let isOver = false;
    const over = watch(this.#parts).finally(() => (isOver = true));
    for (let second = 0; !isOver; second += 1) {
      await Promise.race([over, this.clock.untilSleeping(() => true)]);
      if (isOver) break;
      await each(second);
      this.clock.advance(1_000);
      // Its next look at the disk takes as long as it takes.
      await new Promise(setImmediate);
    }
    await over;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fixture[Symbol.asyncDispose]();
  }
}

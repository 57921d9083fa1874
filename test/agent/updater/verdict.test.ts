import { execFile } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { readJournal, writeJournal, type Journal } from "../../../agent/updater/journal.ts";
import { readVerdict, verdictPath } from "../../../agent/updater/verdict.ts";
import { findLeaks } from "./leak-check.ts";
import { createUpdateFixture, JOB_ID, sha256, stageBytes, swapOrder, type UpdateFixture } from "./update-fixture.ts";

const run = promisify(execFile);
const RESTORED = `decision restored\njob ${JOB_ID}\nreason not_confirmed\nend\n`;

async function writeUnconfirmed(fixture: UpdateFixture): Promise<void> {
  const digests = { fromSha256: sha256(fixture.oldBytes), toSha256: fixture.artifact.sha256 };
  const journal: Journal = {
    state: "unconfirmed",
    jobId: JOB_ID,
    ...digests,
    fromVersion: "1.0.0",
    toVersion: "2.0.0",
    sequence: 7,
    bootId: "boot",
    uptimeMs: 5,
    reason: "none",
  };
  await writeFile(fixture.paths.binary, fixture.newBytes);
  await writeJournal(fixture.paths, journal);
}

describe("the verdict", () => {
  it("is the agent's when nobody decided before, and can be given again", async () => {
    await using fixture = await createUpdateFixture();
    await writeUnconfirmed(fixture);
    expect(await fixture.platform().confirm(JOB_ID)).toBe(true);
    expect(await readVerdict(fixture.paths, JOB_ID)).toEqual({ decision: "confirmed", jobId: JOB_ID, reason: "none" });
    expect((await readJournal(fixture.paths))?.state).toBe("confirmed");
    await expect(stat(fixture.paths.verdictTemporary)).rejects.toThrow("ENOENT");
    expect(await fixture.platform().confirm(JOB_ID)).toBe(true);
  });

  it("is the guard's when it decided first: the agent then changes nothing", async () => {
    await using fixture = await createUpdateFixture();
    await writeUnconfirmed(fixture);
    await writeFile(verdictPath(fixture.paths, JOB_ID), RESTORED);
    expect(await fixture.platform().confirm(JOB_ID)).toBe(false);
    expect((await readJournal(fixture.paths))?.state).toBe("unconfirmed");
    expect(await readFile(verdictPath(fixture.paths, JOB_ID), "utf8")).toBe(RESTORED);
    await expect(stat(fixture.paths.verdictTemporary)).rejects.toThrow("ENOENT");
  });

  it("stands when the agent was killed before it wrote the journal", async () => {
    await using fixture = await createUpdateFixture();
    await writeUnconfirmed(fixture);
    await writeFile(verdictPath(fixture.paths, JOB_ID), `decision confirmed\njob ${JOB_ID}\nreason none\nend\n`);
    expect(await fixture.platform().confirm(JOB_ID)).toBe(true);
    expect((await readJournal(fixture.paths))?.state).toBe("confirmed");
  });

  it("about another update is in nobody's way", async () => {
    await using fixture = await createUpdateFixture();
    await writeUnconfirmed(fixture);
    const earlier = verdictPath(fixture.paths, "an-earlier-job");
    await writeFile(earlier, RESTORED.replace(JOB_ID, "an-earlier-job"));
    expect(await fixture.platform().confirm(JOB_ID)).toBe(true);
    expect((await readVerdict(fixture.paths, JOB_ID))?.decision).toBe("confirmed");
    expect((await readVerdict(fixture.paths, "an-earlier-job"))?.decision).toBe("restored");
  });

  it.each(["", `decision restored\njob ${JOB_ID}\n`])("that neither can have linked is replaced: %j", async (text) => {
    await using fixture = await createUpdateFixture();
    await writeUnconfirmed(fixture);
    await writeFile(verdictPath(fixture.paths, JOB_ID), text);
    expect(await fixture.platform().confirm(JOB_ID)).toBe(true);
    expect((await readVerdict(fixture.paths, JOB_ID))?.decision).toBe("confirmed");
  });

  it("has exactly one winner when an agent and a shell race for it", async () => {
    for (let round = 0; round < 25; round += 1) {
      await using fixture = await createUpdateFixture();
      await writeUnconfirmed(fixture);
      await writeFile(`${fixture.paths.stateDir}/verdict.guard`, RESTORED);
      const guard = run("ln", [`${fixture.paths.stateDir}/verdict.guard`, verdictPath(fixture.paths, JOB_ID)]).then(
        () => true,
        () => false,
      );
      // Neither is given a fixed start over the other.
      for (let spin = 0; spin < round; spin += 1) await stat(fixture.root);
      const [isRestored, isConfirmed] = await Promise.all([guard, fixture.platform().confirm(JOB_ID)]);
      expect(isRestored).not.toBe(isConfirmed);
      expect((await readJournal(fixture.paths))?.state).toBe(isConfirmed ? "confirmed" : "unconfirmed");
    }
  });

  it("is refused about a job that the journal does not know", async () => {
    await using fixture = await createUpdateFixture();
    await expect(fixture.platform().confirm(JOB_ID)).rejects.toThrow("not about job");
    await writeUnconfirmed(fixture);
    await expect(fixture.platform().confirm("another-job")).rejects.toThrow("not about job another-job");
  });

  it("is forgotten when the next update begins", async () => {
    await using fixture = await createUpdateFixture();
    const earlier = verdictPath(fixture.paths, "an-earlier-job");
    await writeFile(earlier, RESTORED.replace(JOB_ID, "an-earlier-job"));
    await writeFile(verdictPath(fixture.paths, JOB_ID), RESTORED);
    const platform = fixture.platform();
    await stageBytes(platform, fixture.artifact, fixture.newBytes);
    await platform.swap(fixture.artifact, swapOrder());
    for (const path of [earlier, verdictPath(fixture.paths, JOB_ID)])
      await expect(stat(path)).rejects.toThrow("ENOENT");
    expect(await fixture.platform().confirm(JOB_ID)).toBe(true);
  });
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));

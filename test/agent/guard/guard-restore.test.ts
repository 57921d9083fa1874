import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { answering, GuardHost, JOB } from "./guard-host.ts";
import { verdictPath } from "../../../agent/updater/verdict.ts";

describe.concurrent("a new version that was not confirmed in time", () => {
  it("is replaced by the one before, which reaches the server and tells so at its start", async () => {
    await using host = await GuardHost.create();
    const end = await host.look();
    expect(end).toMatchObject({
      status: 0,
      stderr: "<4>rollcall-agent-guard: 2.0.0 was rolled back to 1.0.0 (server_unreachable)\n",
    });
    expect(await host.standing()).toBe("1.0.0");
    expect(await host.versionAt(host.paths.old)).toBe("1.0.0");
    const settlement = await (await host.platform()).settle();
    expect(settlement).toMatchObject({
      kind: "ended",
      jobId: JOB,
      outcome: "rolledBack",
      reason: JobReason.NOT_CONFIRMED,
      details: { expectedVersion: "2.0.0", actualVersion: "1.0.0" },
    });
    await host.look();
    expect((await readdir(host.paths.folder)).toSorted()).toEqual(["agent", "agent.old"]);
    expect((await readdir(host.paths.stateDir)).toSorted()).toEqual(["job-log", "journal", `verdict-${JOB}`]);
  });

  it("is not said to be cut off when it reaches the server as well", async () => {
    await using host = await GuardHost.create({ newProgram: answering("2.0.0", 0) });
    await host.look();
    expect(await readFile(verdictPath(host.paths, JOB), "utf8")).toBe(
      `decision restored\njob ${JOB}\nreason not_confirmed\nend\n`,
    );
    expect(await host.standing()).toBe("1.0.0");
  });

  it("is given its time", async () => {
    await using host = await GuardHost.create({ ageMs: 30_000 });
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    expect(await host.standing()).toBe("2.0.0");
  });
});

describe.concurrent("a new version that ends by itself", () => {
  it("is replaced after the third time, and not before, however it ends", async () => {
    await using host = await GuardHost.create({ ageMs: 0 });
    await host.stopped("1");
    await host.stopped("KILL");
    expect(await host.standing()).toBe("2.0.0");
    expect(await host.stopped("0")).toMatchObject({
      status: 0,
      stderr: "<4>rollcall-agent-guard: 2.0.0 was rolled back to 1.0.0 (crashed)\n",
    });
    expect(await host.standing()).toBe("1.0.0");
    const settlement = await (await host.platform()).settle();
    expect(settlement).toMatchObject({ kind: "ended", outcome: "rolledBack", reason: JobReason.CRASHED });
  });

  it("leaves in the log how it ended, though it said nothing itself", async () => {
    await using host = await GuardHost.create({ ageMs: 0 });
    await host.stopped("203", { EXIT_CODE: "exited", SERVICE_RESULT: "exit-code; rm -rf" });
    await host.recordCrashes(2);
    await host.stopped("SEGV", { EXIT_CODE: "killed", SERVICE_RESULT: "signal" });
    const settlement = await (await host.platform()).settle();
    expect(settlement.kind === "ended" && settlement.log?.toString()).toBe(
      "rollcall-agent-guard: 2.0.0 ended: exited 203 (1 of 3)\n" +
        "rollcall-agent-guard: 2.0.0 ended: killed SEGV signal (3 of 3)\n",
    );
  });

  it("is not taken for one that was asked to stop", async () => {
    await using host = await GuardHost.create({ ageMs: 0 });
    await host.recordCrashes(2);
    for (let stops = 0; stops < 4; stops += 1) await host.stopped("TERM");
    expect(await host.standing()).toBe("2.0.0");
  });

  it("stays when a crash of another update's was counted", async () => {
    await using host = await GuardHost.create({ ageMs: 0 });
    await host.recordCrashes(2);
    const other = { journal: { jobId: "0b5ad7e2-4c56-4e2b-9d3e-2b9d3c6f1a11" }, ageMs: 0 };
    await writeFile(join(host.paths.stateDir, "journal"), await host.journalText(other));
    await host.stopped("1");
    expect(await host.standing()).toBe("2.0.0");
  });
});

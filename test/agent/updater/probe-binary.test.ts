import { writeFile } from "node:fs/promises";
import { afterAll, describe, expect, it } from "vitest";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { buildTinyElf, buildVersionElf } from "../../support/tiny-elf.ts";
import { findLeaks } from "./leak-check.ts";
import { createUpdateFixture, failureOf } from "./update-fixture.ts";

async function probe(
  program: Buffer | string,
  probeLimitMs = 10_000,
  signal = new AbortController().signal,
): Promise<void> {
  await using fixture = await createUpdateFixture();
  await writeFile(fixture.paths.staged, program, { mode: 0o755 });
  await fixture.platform({ probeLimitMs }).probe(fixture.artifact, signal);
}

describe("the probe", () => {
  it("passes a binary that prints the version and exits with 0", () => probe(buildVersionElf("2.0.0")));

  it("passes a binary that says more on later lines", () =>
    probe(buildTinyElf({ prints: "2.0.0\nconfiguration read\n" })));

  it("hands over the configuration and the state folder, an empty environment and no input", async () => {
    await using fixture = await createUpdateFixture();
    const script =
      '#!/bin/sh\necho 2.0.0\nprintf "%s|" "$@" >&2\nprintf "%s|%s|" "$(pwd)" "$(cat)" >&2\n/usr/bin/env | grep -v "^PWD=\\|^SHLVL=\\|^_=\\|^OLDPWD=" >&2\nexit 9\n';
    await writeFile(fixture.paths.staged, script, { mode: 0o755 });
    const failure = await failureOf(fixture.platform().probe(fixture.artifact, new AbortController().signal));
    expect(failure.details.exitStatus).toBe(9);
    expect(failure.details.detail).toBe(
      `--probe|--config|${fixture.root}/agent.json|--state-dir|${fixture.paths.stateDir}|/||`,
    );
  });

  it("fails a binary that exits otherwise, with the last line it wrote to stderr", async () => {
    const failure = await failureOf(
      probe("#!/bin/sh\necho 2.0.0\necho first >&2\necho 'ca_pem is missing\t\x1b[31m' >&2\nexit 3\n"),
    );
    expect(failure).toMatchObject({
      reason: JobReason.PROBE_FAILED,
      details: { exitStatus: 3, detail: "ca_pem is missing [31m", expectedVersion: "2.0.0" },
    });
  });

  it("fails a binary that exits otherwise and says nothing", async () => {
    const failure = await failureOf(probe(buildTinyElf({ prints: "", ending: { exit: 42 } })));
    expect(failure).toMatchObject({
      reason: JobReason.PROBE_FAILED,
      details: { exitStatus: 42, detail: "it exited with status 42" },
    });
  });

  it("cuts a very long line", async () => {
    const failure = await failureOf(probe(buildTinyElf({ prints: "x".repeat(3000), stream: 2, ending: { exit: 1 } })));
    expect(failure.details.detail).toHaveLength(300);
  });

  it("fails a binary that a signal ends", async () => {
    const failure = await failureOf(probe("#!/bin/sh\necho 2.0.0\nkill -SEGV $$\n"));
    expect(failure).toMatchObject({ reason: JobReason.PROBE_FAILED, details: { detail: "2.0.0" } });
    expect(failure.details.exitStatus).toBeUndefined();
  });

  it("fails a binary of another version, and says which", async () => {
    const failure = await failureOf(probe(buildVersionElf("2.0.1")));
    expect(failure).toMatchObject({
      reason: JobReason.PROBE_FAILED,
      details: { exitStatus: 0, expectedVersion: "2.0.0", actualVersion: "2.0.1" },
    });
  });

  it.each(["2.0.0 \n", " 2.0.0\n", "2.0.0\r\n", "\n2.0.0\n", "v2.0.0\n", ""])(
    "fails a binary that prints %j",
    async (prints) => {
      expect((await failureOf(probe(buildTinyElf({ prints })))).reason).toBe(JobReason.PROBE_FAILED);
    },
  );

  it("fails a binary that does not end in time, and kills it", async () => {
    const failure = await failureOf(probe(buildTinyElf({ prints: "2.0.0\n", ending: "hang" }), 200));
    expect(failure).toMatchObject({
      reason: JobReason.PROBE_FAILED,
      details: { detail: "it did not end within 0.2 s" },
    });
    expect(failure.details.exitStatus).toBeUndefined();
  });

  it("fails a binary that floods its output, on stdout as on stderr", async () => {
    for (const stream of [1, 2] as const) {
      const failure = await failureOf(probe(buildTinyElf({ prints: "2.0.0\n", stream, ending: "repeat" })));
      expect(failure).toMatchObject({
        reason: JobReason.PROBE_FAILED,
        details: { detail: "it printed more than 4096 bytes" },
      });
    }
  });

  it("does not wait for what the binary left running, and kills it", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(fixture.paths.staged, "#!/bin/sh\nsleep 60 &\necho 2.0.0\n", { mode: 0o755 });
    await fixture.platform({ probeLimitMs: 5_000 }).probe(fixture.artifact, new AbortController().signal);
  });

  it("fails a file that the system cannot run", async () => {
    const failure = await failureOf(probe("#!/rollcall/no/such/interpreter\n"));
    expect(failure).toMatchObject({ reason: JobReason.PROBE_FAILED, details: { errorCode: "ENOENT" } });
  });

  it("ends at once when it is called off", async () => {
    const controller = new AbortController();
    const probing = probe(buildTinyElf({ prints: "2.0.0\n", ending: "hang" }), 60_000, controller.signal);
    controller.abort(new Error("called off"));
    await expect(probing).rejects.toThrow("called off");
  });
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));

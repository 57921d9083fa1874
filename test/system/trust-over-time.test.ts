/** What a host refuses changes with what it confirmed and what a root signed, and with nothing else. */
import { readFile, writeFile } from "node:fs/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, describe, expect, test } from "vitest";
import { enroll } from "../../agent/enroll.ts";
import { EnrollResponseSchema, UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { FakeClock } from "../agent/fake-clock.ts";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { createTestKey, createTestPublisher, nameKey, signKeySet } from "../support/test-keys.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import { createOffer, NO_DOCUMENT } from "../support/offered-release.ts";
import { TrustingHost } from "./trusting-host.ts";

const { roots, signingKey } = TEST_PUBLISHER;
const STOLEN_KEY = createTestKey("a signing key that will be stolen");
const STAGED = { phase: UpdatePhase.STAGED };

function refusedFor(reason: JobReason) {
  return { phase: UpdatePhase.FAILED, reason };
}

/** What both keys sign, before anybody knows of the theft. */
const BEFORE_THEFT = signKeySet(roots[0], { sequence: 1n, signingKeys: [nameKey(signingKey), nameKey(STOLEN_KEY)] });
/** The one file that shuts the thief out. */
const AFTER_THEFT = signKeySet(roots[1], {
  sequence: 2n,
  signingKeys: [nameKey(signingKey)],
  revokedKeys: [STOLEN_KEY.publicKey.text],
  sequenceFloor: 2n,
});
const LAST_SEQUENCE = Number.MAX_SAFE_INTEGER;

describe("a stolen signing key", () => {
  const theirs = { version: "6.6.6", signedBy: STOLEN_KEY, sequence: BigInt(LAST_SEQUENCE) };

  test("is shut out by one key set that a root signed, in whatever order the server sends it", async () => {
    await using host = await TrustingHost.start();
    expect(await host.update(createOffer({ ...theirs, keySet: BEFORE_THEFT }))).toMatchObject(STAGED);
    expect(await host.update(createOffer({ sequence: 3n, keySet: AFTER_THEFT }))).toMatchObject(STAGED);
    expect(await host.update(createOffer({ ...theirs, keySet: AFTER_THEFT }))).toMatchObject(
      refusedFor(JobReason.KEY_REVOKED),
    );
    expect(await host.update(createOffer({ ...theirs, keySet: NO_DOCUMENT }))).toMatchObject(
      refusedFor(JobReason.KEY_REVOKED),
    );
    expect(await host.update(createOffer({ ...theirs, keySet: BEFORE_THEFT }))).toMatchObject(
      refusedFor(JobReason.KEYS_OUTDATED),
    );
  });

  test("stays shut out after a restart", async () => {
    await using host = await TrustingHost.start();
    await host.update(createOffer({ sequence: 3n, keySet: AFTER_THEFT }));
    await host.restart({ version: "1.0.0", sequence: 1 });
    expect(host.hello).toMatchObject({ sequenceFloor: 2n, keysSequence: 2n });
    expect(await host.update(createOffer({ ...theirs, keySet: BEFORE_THEFT }))).toMatchObject(
      refusedFor(JobReason.KEYS_OUTDATED),
    );
    expect(await host.update(createOffer({ ...theirs, keySet: NO_DOCUMENT }))).toMatchObject(
      refusedFor(JobReason.KEY_REVOKED),
    );
  });

  test("is shut out even by a release that is refused itself", async () => {
    await using host = await TrustingHost.start();
    expect(await host.update(createOffer({ product: "other", keySet: AFTER_THEFT }))).toMatchObject(
      refusedFor(JobReason.DOWNLOAD_FAILED),
    );
    expect(await host.update(createOffer({ ...theirs, keySet: BEFORE_THEFT }))).toMatchObject(
      refusedFor(JobReason.KEYS_OUTDATED),
    );
  });

  test("that raised the floor to the end keeps nobody out once a root lowered it, also after a restart", async () => {
    await using host = await TrustingHost.start();
    // An honest program under the thief's manifest: it names the sequence of its own build.
    await host.install(createOffer({ ...theirs, version: "2.0.0", keySet: BEFORE_THEFT }), 2);
    expect(host.trust.sequenceFloor).toBe(LAST_SEQUENCE);
    const next = { version: "3.0.0", sequence: 3n };
    expect(await host.update(createOffer({ ...next, keySet: BEFORE_THEFT }))).toMatchObject(
      refusedFor(JobReason.DOWNGRADE_REFUSED),
    );
    expect(await host.update(createOffer({ ...next, keySet: AFTER_THEFT }))).toMatchObject(STAGED);
    await host.restart({ version: "2.0.0", sequence: 2 });
    expect(host.hello.sequenceFloor).toBe(2n);
    await host.install(createOffer({ ...next, keySet: AFTER_THEFT }), 3);
    expect(host.trust.sequenceFloor).toBe(3);
    expect(await host.readRunningVersion()).toBe("3.0.0");
  });
});

describe("the way back", () => {
  test("is closed by a confirmed update, also after a restart", async () => {
    await using host = await TrustingHost.start();
    await host.install(createOffer({ sequence: 5n }), 5);
    const older = createOffer({ version: "1.5.0", sequence: 4n });
    expect(await host.update(older)).toMatchObject(refusedFor(JobReason.DOWNGRADE_REFUSED));
    await host.restart({ version: "2.0.0", sequence: 5 });
    expect(host.hello).toMatchObject({ sequenceFloor: 5n, keysSequence: 1n });
    expect(await host.update(older)).toMatchObject(refusedFor(JobReason.DOWNGRADE_REFUSED));
    expect(await host.update(createOffer({ version: "2.0.0-again", sequence: 5n }))).toMatchObject(STAGED);
  });

  test("is not closed by an update that is only staged", async () => {
    await using host = await TrustingHost.start();
    expect(await host.update(createOffer({ sequence: 5n }))).toMatchObject(STAGED);
    expect(host.trust.sequenceFloor).toBe(1);
    expect(await host.update(createOffer({ version: "1.5.0", sequence: 4n }))).toMatchObject(STAGED);
  });

  test("is opened by a permission that was signed with the release, and leads no further down than that release", async () => {
    await using host = await TrustingHost.start();
    await host.install(createOffer({ sequence: 5n }), 5);
    const permitted = createOffer({ version: "1.5.0", sequence: 4n, permittedFloor: 5n });
    await host.install(permitted, 4);
    expect(await host.readRunningVersion()).toBe("1.5.0");
    expect(host.hello.sequenceFloor).toBe(5n);
    expect(await host.update(createOffer({ version: "1.4.0", sequence: 3n }))).toMatchObject(
      refusedFor(JobReason.DOWNGRADE_REFUSED),
    );
    expect(await host.update(createOffer({ version: "2.1.0", sequence: 6n }))).toMatchObject(STAGED);
  });
});

describe("what a host enrols with", () => {
  test("says nothing about trust: keys in the answer go nowhere, and what they sign is refused", async () => {
    await using host = await TrustingHost.start();
    const theirs = createTestPublisher("whoever runs the server");
    const answer = create(EnrollResponseSchema, { hostId: "host-1", credential: "credential" });
    answer.$unknown = [theirs.rootsFile, theirs.keySet.bytes, theirs.keySet.signature].map((data, index) => ({
      no: 3 + index,
      wireType: 2,
      data: lengthDelimited(Buffer.from(data)),
    }));
    expect(Buffer.from(toBinary(EnrollResponseSchema, answer)).includes(theirs.rootsFile)).toBe(true);
    host.server.script.enroll = () => answer;
    const stateDir = host.paths.stateDir;
    await writeFile(host.folder.join("ca.pem"), host.server.caPem);
    await writeFile(host.folder.join("token"), "rc_enroll_0123456789\n");
    await enroll(
      {
        kind: "enroll",
        configPath: host.folder.join("agent.json"),
        stateDir,
        tokenSource: { kind: "file", path: host.folder.join("token") },
        servers: [host.server.address],
        caFile: host.folder.join("ca.pem"),
        force: false,
        labels: [],
      },
      new FakeClock(),
    );
    const written = [host.folder.join("agent.json"), host.folder.join("state", "credential.json")];
    const key = theirs.rootKeys[0]?.text ?? "";
    for (const path of written) expect(await readFile(path, "utf8"), path).not.toContain(key.slice(0, 40));
    await host.restart({ version: "1.0.0", sequence: 1 });
    const offer = createOffer({ signedBy: theirs.signingKey, keySet: theirs.keySet });
    expect(await host.update(offer)).toMatchObject(refusedFor(JobReason.KEYS_INVALID));
    expect(await host.update({ ...offer, keySet: TEST_PUBLISHER.keySet })).toMatchObject(
      refusedFor(JobReason.KEY_UNKNOWN),
    );
  });
});

describe("a host whose trust file is damaged", () => {
  test("says so and takes nothing until it is put right, and runs on", async () => {
    await using host = await TrustingHost.start();
    await host.install(createOffer({ sequence: 5n }), 5);
    const whole = await host.readTrust();
    await writeFile(host.paths.trust, whole.slice(0, 100));
    await host.restart({ version: "2.0.0", sequence: 5 });
    const next = createOffer({ version: "2.1.0", sequence: 6n });
    const refused = await host.update(next);
    expect(refused).toMatchObject({ ...refusedFor(JobReason.KEYS_INVALID), details: { path: host.paths.trust } });
    expect(refused.details?.detail).toContain("it is torn");
    expect(await host.readTrust()).toBe(whole.slice(0, 100));
    await writeFile(host.paths.trust, whole);
    expect(await host.update(next)).toMatchObject(STAGED);
  });
});

/** What stands after a field's number: its length as a varint, then its bytes. */
function lengthDelimited(bytes: Buffer): Buffer {
  const length: number[] = [];
  for (let left = bytes.length; ; left >>>= 7) {
    length.push(left < 0x80 ? left : (left & 0x7f) | 0x80);
    if (left < 0x80) return Buffer.concat([Buffer.from(length), bytes]);
  }
}

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

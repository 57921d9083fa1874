import { hash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { checkRelease } from "../../../agent/updater/check-release.ts";
import type { TrustStore } from "../../../agent/updater/trust-store.ts";
import { toUpdateError } from "../../../agent/updater/update-report.ts";
import { CommandUpdateSchema, FetchManifestResponseSchema } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { openMemoryTrust } from "../../support/memory-trust.ts";
import { createOffer, withManifest, type Offer } from "../../support/offered-release.ts";
import { createTestPublisher, nameKey, signBytes, signKeySet } from "../../support/test-keys.ts";
import { TEST_PUBLISHER } from "../../support/test-release.ts";

const { roots, signingKey } = TEST_PUBLISHER;
const STRANGER = createTestPublisher("stranger");
const KNOWN_KEYS = signKeySet(roots[0], { sequence: 2n, signingKeys: [nameKey(signingKey)] });

/** A host that refuses what is below 10 and knows the second key set. */
async function openTrust(): Promise<TrustStore> {
  const trust = await openMemoryTrust();
  await trust.raiseFloor("job", 10);
  await trust.acceptKeys(KNOWN_KEYS);
  return trust;
}

async function check(offer: Offer, trust: TrustStore) {
  const { toVersion, manifestSha256, manifest, keySet, blockList } = offer;
  const command = create(CommandUpdateSchema, { jobId: "job", package: "rollcall-agent", toVersion, manifestSha256 });
  const delivered = create(FetchManifestResponseSchema, {
    manifest: manifest.bytes,
    signature: manifest.signature,
    keys: keySet.bytes,
    keysSignature: keySet.signature,
    blockList,
  });
  return checkRelease(command, delivered, "linux-x64", trust).then(
    (release) => ({ kind: "accepted", release }) as const,
    (error: unknown) => ({ kind: "refused", failure: toUpdateError(error, JobReason.UNSPECIFIED) }) as const,
  );
}

const DEFECTS = [
  ["too large a manifest", JobReason.DOWNLOAD_FAILED, "at most 262144"],
  ["a key set of other roots", JobReason.KEYS_INVALID, "not signed by a root key"],
  ["an older key set", JobReason.KEYS_OUTDATED, "has sequence 1"],
  ["an unknown signer", JobReason.KEY_UNKNOWN, "does not name"],
  ["another manifest than was commanded", JobReason.DIGEST_MISMATCH, "the manifest does not have"],
  ["a manifest that repeats a key", JobReason.DOWNLOAD_FAILED, "twice"],
  ["another product", JobReason.DOWNLOAD_FAILED, "is one of other"],
  ["another version", JobReason.WRONG_VERSION, "is version 3.0.0, not 2.0.0"],
  ["another platform", JobReason.PREFLIGHT_WRONG_PLATFORM, "only for linux-arm64"],
  ["a sequence below the floor", JobReason.DOWNGRADE_REFUSED, "has sequence 9, this host takes none below 10"],
  ["more blocks than any artifact has", JobReason.DOWNLOAD_FAILED, "at most 8192"],
  ["a block list of another length", JobReason.DOWNLOAD_FAILED, "blocks need"],
  ["another block list", JobReason.DIGEST_MISMATCH, "the block list does not have"],
] as const;

type Defect = (typeof DEFECTS)[number][0];

/** An offer with this defect and all that come after it in the order of checks. */
function createDefective(first: number): Offer {
  const has = (defect: Defect): boolean => DEFECTS.findIndex(([name]) => name === defect) >= first;
  const signedBy = has("an unknown signer") ? STRANGER.signingKey : signingKey;
  const offer = createOffer({
    version: has("another version") ? "3.0.0" : "2.0.0",
    product: has("another product") ? "other" : "rollcall-agent",
    sequence: has("a sequence below the floor") ? 9n : 10n,
    signedBy,
    lies: {
      ...(has("another platform") && { platform: "linux-arm64" }),
      ...(has("more blocks than any artifact has") && { sizeBytes: 1n << 28n, blockSizeBytes: 4096 }),
      ...(has("another block list") && { blockListSha256: hash("sha256", "another") }),
    },
  });
  let bytes = offer.manifest.bytes;
  if (has("a manifest that repeats a key"))
    bytes = Buffer.from(bytes.toString("utf8").replace("{", '{"product": "rollcall-agent",'));
  let { signature } = signBytes(signedBy, bytes, "file:manifest.json");
  if (has("too large a manifest")) {
    bytes = Buffer.concat([bytes, Buffer.alloc(256 * 1024, " ")]);
    ({ signature } = signBytes(signedBy, bytes, "file:manifest.json"));
  }
  return {
    ...withManifest(offer, { bytes, signature }),
    toVersion: "2.0.0",
    ...(has("another manifest than was commanded") && { manifestSha256: Buffer.alloc(32) }),
    keySet: chooseKeySet(has),
    blockList: has("a block list of another length") ? offer.blockList.subarray(32) : offer.blockList,
  };
}

function chooseKeySet(has: (defect: Defect) => boolean): Offer["keySet"] {
  if (has("a key set of other roots")) return STRANGER.keySet;
  return has("an older key set") ? TEST_PUBLISHER.keySet : KNOWN_KEYS;
}

test.each(DEFECTS.map(([defect, reason, says], index) => ({ defect, reason, says, index })))(
  "$defect is found before whatever else is wrong",
  async ({ reason, says, index }) => {
    const result = await check(createDefective(index), await openTrust());
    if (result.kind === "accepted") throw new Error("it was accepted");
    expect(result.failure.reason).toBe(reason);
    expect(result.failure.message).toContain(says);
  },
);

test("a release without a defect is accepted, block by block", async () => {
  const offer = createDefective(DEFECTS.length);
  const result = await check(offer, await openTrust());
  if (result.kind === "refused") throw result.failure;
  const { artifact, sequence, blockDigests } = result.release;
  expect(artifact).toMatchObject({ version: "2.0.0", platform: "linux-x64", sizeBytes: 100_000 });
  expect(sequence).toBe(10);
  expect(Buffer.concat(blockDigests).equals(offer.blockList)).toBe(true);
});

test.each([
  ["equal to the floor", { sequence: 10n }, true],
  ["below it", { sequence: 9n }, false],
  ["below it with a permission that reaches the floor", { sequence: 9n, permittedFloor: 10n }, true],
  ["below it with a permission that reaches beyond the floor", { sequence: 9n, permittedFloor: 11n }, true],
  ["below it with a permission that ends before the floor", { sequence: 8n, permittedFloor: 9n }, false],
])("a sequence %s", async (_, order, isAccepted) => {
  const result = await check(createOffer({ ...order, keySet: KNOWN_KEYS }), await openTrust());
  expect(result.kind === "accepted").toBe(isAccepted);
});

test("a floor that a key set lowers counts for the release that it came with", async () => {
  const keySet = signKeySet(roots[0], { sequence: 3n, signingKeys: [nameKey(signingKey)], sequenceFloor: 4n });
  const trust = await openTrust();
  expect(await check(createOffer({ sequence: 4n, keySet }), trust)).toMatchObject({ kind: "accepted" });
  expect(await check(createOffer({ sequence: 3n, keySet }), trust)).toMatchObject({ kind: "refused" });
});

test("a refusal of a signature names the key that was used, and no other fact", async () => {
  const result = await check(createOffer({ signedBy: STRANGER.signingKey, keySet: KNOWN_KEYS }), await openTrust());
  if (result.kind === "accepted") throw new Error("it was accepted");
  const { detail, ...others } = result.failure.details;
  expect(detail).toContain(STRANGER.signingKey.publicKey.keyId);
  expect(others).toEqual({});
});

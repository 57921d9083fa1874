/**
 * A server that owns its TLS key, its database and all files, and wants its own
 * code on a host, or an old hole back. It can stop updates; that is all.
 */
import { hash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { BlockEncoding, UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { createTestKey, createTestPublisher, nameKey, signKeySet } from "../support/test-keys.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";
import {
  createOffer,
  NO_DOCUMENT,
  withManifest,
  type Offer,
  type OfferOrder,
  type SentBlock,
} from "../support/offered-release.ts";
import { TrustingHost } from "./trusting-host.ts";

const { roots, signingKey } = TEST_PUBLISHER;
const STRANGER = createTestPublisher("stranger");
const REVOKED_KEY = createTestKey("a signing key that was stolen");
/** It says that it is the right version. */
const EVIL = Buffer.from(buildVersionElf("2.0.0", 100_000).map((byte, at) => (at < 50_000 ? byte : byte ^ 1)));
/** *Units*: milliseconds of patience where an attack lasts that long; enough for what is right on a loaded machine. */
const SHORT_PATIENCE_MS = 3_000;
/** What every host of this file knows before it is attacked. */
const KNOWN_KEYS = signKeySet(roots[0], {
  sequence: 5n,
  signingKeys: [nameKey(signingKey), nameKey(REVOKED_KEY)],
  revokedKeys: [REVOKED_KEY.publicKey.text],
});
const HONEST = createOffer({ version: "1.9.0", sequence: 9n, keySet: KNOWN_KEYS });

interface Attack {
  readonly name: string;
  readonly offer: () => Offer;
  readonly reason: JobReason;
  /** Part of the sentence that the server is told. */
  readonly says: string;
  /** The agent's patience, where it is what ends the attack. *Units*: milliseconds. */
  readonly stalledMs?: number;
}

/** Sends these blocks in place of those that were asked for. */
function withBlocks(offer: Offer, sendBlocks: Offer["sendBlocks"]): Offer {
  return { ...offer, sendBlocks };
}

/** Changes each block on its way. */
function withEachBlock(offer: Offer, change: (block: SentBlock) => SentBlock): Offer {
  return withBlocks(offer, async function* (request) {
    for await (const block of offer.sendBlocks(request)) yield change(block);
  });
}

/** The fields of an offer that come from a manifest's text after it was changed, the signature left as it was. */
function withText(offer: Offer, change: (text: string) => string): Offer {
  const bytes = Buffer.from(change(offer.manifest.bytes.toString("utf8")));
  return withManifest(offer, { bytes, signature: offer.manifest.signature });
}

const good = (order: OfferOrder = {}): Offer => createOffer({ sequence: 9n, keySet: KNOWN_KEYS, ...order });

const ATTACKS: readonly Attack[] = [
  {
    name: "sends the blocks of a program of its own",
    offer: () => withBlocks(good(), good({ program: EVIL }).sendBlocks),
    reason: JobReason.DIGEST_MISMATCH,
    says: "block",
  },
  {
    name: "sends a program of its own and its block list",
    offer: () => {
      const { blockList, sendBlocks } = good({ program: EVIL });
      return { ...good(), blockList, sendBlocks };
    },
    reason: JobReason.DIGEST_MISMATCH,
    says: "the block list does not have the sha256 that was announced",
  },
  {
    name: "sends the blocks of another release that is signed",
    offer: () => withBlocks(good(), good({ version: "1.5.0" }).sendBlocks),
    reason: JobReason.DIGEST_MISMATCH,
    says: "block",
  },
  {
    name: "swaps two blocks of the release",
    offer: () => withEachBlock(good(), (block) => (block.index < 2 ? { ...block, index: 1 - block.index } : block)),
    reason: JobReason.DIGEST_MISMATCH,
    says: "block",
  },
  {
    name: "describes its own program in a manifest with the signature of another",
    offer: () => {
      const evil = good({ program: EVIL, signedBy: STRANGER.signingKey });
      return withManifest(evil, { ...evil.manifest, signature: good().manifest.signature });
    },
    reason: JobReason.SIGNATURE_INVALID,
    says: "is not what key",
  },
  {
    name: "raises the sequence in a signed manifest",
    offer: () => withText(good(), (text) => text.replace(/"sequence": *"9"/, '"sequence": "90"')),
    reason: JobReason.SIGNATURE_INVALID,
    says: "is not what key",
  },
  {
    name: "appends a space to a signed manifest",
    offer: () => withText(good(), (text) => `${text} `),
    reason: JobReason.SIGNATURE_INVALID,
    says: "is not what key",
  },
  {
    name: "sends no signature",
    offer: () => withManifest(good(), { ...good().manifest, signature: Buffer.alloc(0) }),
    reason: JobReason.SIGNATURE_INVALID,
    says: "is not signed",
  },
  {
    name: "signs with a key of its own",
    offer: () => good({ program: EVIL, signedBy: STRANGER.signingKey }),
    reason: JobReason.KEY_UNKNOWN,
    says: "which the key set does not name",
  },
  {
    name: "signs with a key of its own that has the id of the right one",
    offer: () => {
      const id = Buffer.from(signingKey.publicKey.text, "base64").subarray(2, 10);
      return good({ program: EVIL, signedBy: createTestKey("a key of its own", id) });
    },
    reason: JobReason.SIGNATURE_INVALID,
    says: "is not what key",
  },
  {
    name: "signs with a root key of its own",
    offer: () => good({ program: EVIL, signedBy: STRANGER.roots[0] }),
    reason: JobReason.KEY_UNKNOWN,
    says: "which the key set does not name",
  },
  {
    name: "signs with a key that was revoked",
    offer: () => good({ program: EVIL, signedBy: REVOKED_KEY, keySet: NO_DOCUMENT }),
    reason: JobReason.KEY_REVOKED,
    says: "was revoked",
  },
  {
    name: "sends a key set that a signing key signed",
    offer: () => {
      const keySet = signKeySet(signingKey, { sequence: 6n, signingKeys: [nameKey(STRANGER.signingKey)] });
      return good({ program: EVIL, signedBy: STRANGER.signingKey, keySet });
    },
    reason: JobReason.KEYS_INVALID,
    says: "is not signed by a root key",
  },
  {
    name: "sends a key set of its own roots",
    offer: () => good({ program: EVIL, signedBy: STRANGER.signingKey, keySet: STRANGER.keySet }),
    reason: JobReason.KEYS_INVALID,
    says: "is not signed by a root key",
  },
  {
    name: "sends the key set from before the revocation",
    offer: () => {
      const keySet = signKeySet(roots[0], { sequence: 4n, signingKeys: [nameKey(REVOKED_KEY)] });
      return good({ program: EVIL, signedBy: REVOKED_KEY, keySet });
    },
    reason: JobReason.KEYS_OUTDATED,
    says: "has sequence 4, this host knows of one of sequence 5",
  },
  {
    name: "offers a release of before the one that runs",
    offer: () => good({ version: "0.9.0", sequence: 6n }),
    reason: JobReason.DOWNGRADE_REFUSED,
    says: "release 0.9.0 has sequence 6, this host takes none below 7",
  },
  {
    name: "offers a release whose permission to go back ends below this host's floor",
    offer: () => good({ version: "0.9.0", sequence: 5n, permittedFloor: 6n }),
    reason: JobReason.DOWNGRADE_REFUSED,
    says: "its permission to go back ends at sequence 6",
  },
  {
    name: "delivers other bytes of the version that it commanded, signed as well",
    offer: () => {
      const commanded = good();
      const reimported = good({ program: buildVersionElf("2.0.0", 90_000) });
      return { ...reimported, manifestSha256: commanded.manifestSha256 };
    },
    reason: JobReason.DIGEST_MISMATCH,
    says: "the manifest does not have the sha256 that was announced",
  },
  {
    name: "commands one version and delivers another",
    offer: () => ({ ...good({ version: "2.0.1" }), toVersion: "2.0.0" }),
    reason: JobReason.WRONG_VERSION,
    says: "the release is version 2.0.1, not 2.0.0",
  },
  {
    name: "commands a path in place of a version",
    offer: () => ({ ...good(), toVersion: "../2.0.0" }),
    reason: JobReason.WRONG_VERSION,
    says: "../2.0.0",
  },
  {
    name: "offers a release of another platform",
    offer: () => good({ lies: { platform: "windows-x64" } }),
    reason: JobReason.PREFLIGHT_WRONG_PLATFORM,
    says: "no artifact for linux-x64, only for windows-x64",
  },
  {
    name: "offers another product of the same publisher",
    offer: () => good({ product: "another-agent" }),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "is one of another-agent",
  },
  {
    name: "sends the same block again and again, without end",
    offer: () =>
      withBlocks(good(), async function* (request) {
        const [block] = good().sendBlocks(request) as Iterable<SentBlock>;
        if (block !== undefined) for (;;) yield block;
      }),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "which was not asked for",
  },
  {
    name: "sends blocks that no artifact has, without end",
    offer: () =>
      withBlocks(good(), async function* () {
        for (let index = 4000; ; index += 1)
          yield { index, encoding: BlockEncoding.IDENTITY, data: Buffer.alloc(65_536) };
      }),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "which was not asked for",
  },
  {
    name: "says nothing for ever when it is asked for blocks",
    offer: () =>
      withBlocks(good(), async function* () {
        await new Promise<never>(() => undefined);
        yield* [];
      }),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "nothing new came",
    stalledMs: SHORT_PATIENCE_MS,
  },
  {
    name: "answers with a manifest of several megabytes",
    offer: () => withText(good(), (text) => text + " ".repeat(4 << 20)),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "nothing new came",
    stalledMs: SHORT_PATIENCE_MS,
  },
  {
    name: "answers with a manifest of more than 256 KiB",
    offer: () => withText(good(), (text) => text + " ".repeat(256 * 1024)),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "at most 262144 are read",
  },
  {
    name: "sends a block that inflates to a gigabyte",
    offer: () => {
      const bomb = zstdCompressSync(Buffer.alloc(1 << 28));
      return withEachBlock(good(), (block) => ({ ...block, encoding: BlockEncoding.ZSTD, data: bomb }));
    },
    reason: JobReason.DIGEST_MISMATCH,
    says: "cannot be decompressed",
  },
  {
    name: "sends a block list of another length",
    offer: () => ({ ...good(), blockList: good().blockList.subarray(32) }),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "the block list has 192 bytes, 7 blocks need 224",
  },
  {
    name: "offers a program of more than 512 MiB",
    offer: () => good({ lies: { sizeBytes: (512n << 20n) + 1n } }),
    reason: JobReason.DOWNLOAD_FAILED,
    says: "sizeBytes",
  },
  {
    name: "offers a program whose blocks are right and whose sha256 is not",
    offer: () => good({ lies: { sha256: hash("sha256", EVIL) } }),
    reason: JobReason.DIGEST_MISMATCH,
    says: "sha256",
  },
  {
    name: "offers a signed program that is another version than its manifest says",
    offer: () => good({ program: buildVersionElf("6.6.6", 100_000) }),
    reason: JobReason.PROBE_FAILED,
    says: "6.6.6",
  },
];

/** A host that runs a release of sequence 7, knows the revocation, and has shown that it takes what is right. */
async function startHost(stalledMs?: number): Promise<TrustingHost> {
  const host = await TrustingHost.start({ sequence: 7, stalledMs });
  expect(await host.update(HONEST)).toMatchObject({ phase: UpdatePhase.STAGED });
  return host;
}

describe("a host whose server", () => {
  test.each(ATTACKS)("$name installs nothing, says why, and runs on", async ({ offer, reason, says, stalledMs }) => {
    await using host = await startHost(stalledMs);
    const trustBefore = await host.readTrust();
    const ended = await host.update(offer());
    expect(ended).toMatchObject({ phase: UpdatePhase.FAILED, reason });
    expect(ended.details?.detail).toContain(says);
    expect(await host.findDisturbances()).toEqual([]);
    expect(await host.readTrust()).toBe(trustBefore);
    // The same process, the same session: what is right is still taken.
    expect(await host.update(HONEST)).toMatchObject({ phase: UpdatePhase.STAGED });
  });

  test("offers what all attacks begin with is updated: each failed for its own reason", async () => {
    await using host = await startHost();
    await host.install(good(), 9);
    expect(await host.readRunningVersion()).toBe("2.0.0");
  });
});

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

/** What becomes of one host when it is told to update. Drawn once a host, from the seed. */
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { Dice } from "./dice.ts";

/** What the new version does once it stands in the old one's place. */
export type Aftermath =
  | "comes back"
  | "crashes"
  | "is not confirmed"
  | "is lost"
  | "is lost, then rolls back"
  | "is another version";

export interface Fate {
  /** How it fails by itself, and after which part of the download. */
  readonly failure: { readonly afterParts: number; readonly reason: JobReason } | undefined;
  readonly ignoresCommands: boolean;
  /** *Units*: milliseconds a part of the download. */
  readonly partMs: number;
  readonly parts: number;
  readonly probeMs: number;
  readonly swapMs: number;
  /** The process dies for nothing when it has come this far, once. */
  readonly diesWhile: "downloading" | "staged" | "restarting" | undefined;
  readonly aftermath: Aftermath;
}

const FAILURES: readonly JobReason[] = [
  JobReason.PREFLIGHT_READ_ONLY,
  JobReason.PREFLIGHT_NO_SPACE,
  JobReason.DOWNLOAD_FAILED,
  JobReason.DIGEST_MISMATCH,
  JobReason.SIGNATURE_INVALID,
  JobReason.PROBE_FAILED,
];
const AFTERMATHS: readonly Aftermath[] = [
  "crashes",
  "is not confirmed",
  "is lost",
  "is lost, then rolls back",
  "is another version",
];

/** Draws a fate; `trouble` is the chance of each kind of misfortune. */
export function drawFate(dice: Dice, trouble: number): Fate {
  const parts = dice.whole(1, 4);
  return {
    failure: dice.chance(trouble) ? { afterParts: dice.whole(0, parts), reason: dice.pick(FAILURES) } : undefined,
    ignoresCommands: dice.chance(trouble / 3),
    partMs: dice.chance(0.15) ? dice.whole(20_000, 80_000) : dice.whole(20, 3_000),
    parts,
    probeMs: dice.whole(10, 2_000),
    swapMs: dice.chance(0.05) ? dice.whole(1_000, 70_000) : dice.whole(1, 200),
    diesWhile: dice.chance(trouble / 2) ? dice.pick(["downloading", "staged", "restarting"]) : undefined,
    aftermath: dice.chance(trouble) ? dice.pick(AFTERMATHS) : "comes back",
  };
}

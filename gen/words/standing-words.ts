/** What stands against every update of a host, whoever asks and whenever: told in one or two words, beside its shape. */
import type { Host } from "../rollcall/v1/model_pb.js";
import type { StateWord } from "./shapes.ts";

/** Why a host that is behind is held where it is; `undefined` when nothing but its own state is in the way. */
export function heldWord(host: Host): StateWord | undefined {
  if (!host.updateAvailable) return undefined;
  if (host.identityDuplicated) return { shape: "held", word: "Identity used twice" };
  if (host.needsReinstall) return { shape: "held", word: "Needs reinstall" };
  if (host.targetQuarantined) return { shape: "held", word: "Target quarantined" };
  return undefined;
}

/** Platforms on which the target version is held back. *Shape*: each once, by name. */
export function quarantinedPlatforms(hosts: readonly Host[]): readonly string[] {
  const found = new Set(hosts.filter((host) => host.targetQuarantined).map(({ platform }) => platform));
  return [...found].toSorted();
}

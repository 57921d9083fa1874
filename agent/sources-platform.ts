import { JobReason } from "../gen/rollcall/v1/model_pb.js";
import { UpdateError } from "./updater/update-error.ts";
import type { UpdatePlatform } from "./updater/update-platform.ts";

/** The platform of an agent that runs from its sources: its binary is Node, which it must never replace. */
export function createSourcesPlatform(): UpdatePlatform {
  const refuse = (): never => {
    const detail = "this agent runs from its sources and has no binary of its own to replace";
    throw new UpdateError(JobReason.PREFLIGHT_NOT_EXECUTABLE, { detail });
  };
  return {
    name: `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`,
    settle: async () => ({ kind: "none" }),
    prepare: async () => undefined,
    preflight: async () => refuse(),
    expectBlocks: async () => refuse(),
    openStage: async () => refuse(),
    probe: async () => refuse(),
    swap: async () => refuse(),
    leave: async () => undefined,
    discard: async () => undefined,
    confirm: async () => false,
  };
}

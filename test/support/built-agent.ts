import { readDevelopmentPublisher } from "../../agent/build/publisher.ts";
import { encodePublicKey } from "../../agent/release/secret-key.ts";
import { systemBench } from "../../agent/release/system-bench.ts";
import { computeVersion } from "../../gen/version.ts";
import { buildAgents, type AgentBuilds } from "../demo/agent-builds.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import type { ReleasePublisher } from "./test-release.ts";

/** Whose releases the built agents take. */
export async function readBuildPublisher(): Promise<ReleasePublisher> {
  const { folder, signingKey } = await readDevelopmentPublisher(repositoryRoot, systemBench);
  if (signingKey === undefined) throw new Error(`${folder.path} holds no signing key`);
  const keySet = { bytes: folder.keys, signature: folder.keysSignature };
  return { rootsFile: folder.roots.map(encodePublicKey).join(""), signingKey, keySet };
}

/** The older and the newer agent as the demo builds them: once a run, whoever asks first. */
export function buildTestAgents(): Promise<AgentBuilds> {
  return buildAgents(computeVersion(repositoryRoot), () => undefined, new AbortController().signal);
}

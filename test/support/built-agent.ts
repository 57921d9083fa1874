import { computeVersion } from "../../gen/version.ts";
import { buildAgents, type AgentBuilds } from "../demo/agent-builds.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";

/** The older and the newer agent as the demo builds them: once a run, whoever asks first. */
export function buildTestAgents(): Promise<AgentBuilds> {
  return buildAgents(computeVersion(repositoryRoot), () => undefined, new AbortController().signal);
}

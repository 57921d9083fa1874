import { fail, ok, type Finding } from "../../gen/finding.ts";
import type { Clock } from "../clock.ts";
import type { AgentPaths } from "../command-line.ts";
import type { AgentConfig } from "../config.ts";
import { describeError } from "../log.ts";
import { chooseProxy } from "../proxy/choose-proxy.ts";
import { canReachServer } from "../reach.ts";
import { knock } from "../stream/knock.ts";

const KNOCK_LIMIT_MS = 5_000;

/** The guard's own question, `--reach`; where the answer is no, what each configured server says. */
export async function checkReach(paths: AgentPaths, config: AgentConfig, clock: Clock): Promise<Finding> {
  const check = "server";
  try {
    if (await canReachServer(paths, clock)) return ok(check, "One can be reached, and is trusted.");
  } catch (error) {
    return fail(check, `${describeError(error)}.`, "Mend what stands above first.");
  }
  const answers = await Promise.all(config.servers.map((server) => askWhyNot(server, config, clock)));
  return fail(
    check,
    `None can be reached: ${answers.join("; ")}.`,
    "Check name, port, firewall and proxy; and the authority in the configuration where one answers.",
  );
}

async function askWhyNot(server: string, config: AgentConfig, clock: Clock): Promise<string> {
  try {
    await knock(server, chooseProxy(config, server), KNOCK_LIMIT_MS, clock, new AbortController().signal);
    return `${server} answers, but shows no certificate that this host trusts`;
  } catch (error) {
    return `${server}: ${describeError(error)}`;
  }
}

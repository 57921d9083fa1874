import { afterAll, beforeAll, describe } from "vitest";
import { explainNoHosts } from "./explain-no-hosts.ts";
import type { Fault } from "./faulty-releases.ts";
import { HostFleet } from "./host-fleet.ts";

/** Making the shared Debian and building the agent included. */
const START_LIMIT_MS = 900_000;
/** Most of a test is waiting: all of a file's run at once. */
const TEST_LIMIT_MS = 600_000;

/**
 * Tests that share a fleet, whose releases have these faults; `define` gets a way to ask for it once they run. Where
 * no host can be booted they are skipped, and their names say why.
 */
export async function describeOnHosts(
  subject: string,
  faults: readonly Fault[],
  define: (fleet: () => HostFleet) => void,
): Promise<void> {
  const reasonToSkip = await explainNoHosts();
  describe.skipIf(reasonToSkip !== undefined)(
    `${subject} on hosts with a real systemd${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
    { concurrent: true, timeout: TEST_LIMIT_MS },
    () => {
      let running: HostFleet | undefined;
      beforeAll(async () => {
        running = await HostFleet.start(AbortSignal.timeout(START_LIMIT_MS), faults);
      }, START_LIMIT_MS);
      afterAll(() => running?.[Symbol.asyncDispose](), 60_000);
      define(() => {
        if (running === undefined) throw new Error("the fleet was not started");
        return running;
      });
    },
  );
}

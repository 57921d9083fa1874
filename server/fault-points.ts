import type { ReachPoint } from "./watcher/ports.ts";

/** Ends this process, as SIGKILL would, when it reaches the named point; without a name, never. For tests of crashes. */
export function createReachPoint(faultPoint: string | undefined): ReachPoint {
  return (point) => {
    if (point === faultPoint) process.kill(process.pid, "SIGKILL");
  };
}

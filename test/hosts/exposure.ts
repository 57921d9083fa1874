import type { SystemdHost } from "./systemd-host.ts";

/** The most that systemd may find a unit exposed. */
export const GREATEST_EXPOSURE = 2.0;

/** What a host's own systemd finds a unit exposed, from 0 to 10. Printed, too. *Throws* Error when it says nothing. */
export async function measureExposure(host: SystemdHost, unit: string): Promise<number> {
  const analysis = await host.demand("systemd-analyze", "security", "--no-pager", unit);
  const [line = "", exposure] = /^.*Overall exposure level for .*: (\d+\.\d+) .*$/m.exec(analysis) ?? [];
  if (exposure === undefined) throw new Error(`systemd-analyze says nothing about ${unit}: ${analysis}`);
  console.log(line.replace(/^\W+/, ""));
  return Number(exposure);
}

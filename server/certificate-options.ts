import { hostname } from "node:os";
import { certificateNames, type Config } from "./config.ts";
import type { Clock, Random } from "./domain/clock.ts";
import type { CertificateOptions } from "./stream/certificate-files.ts";

/** What the certificates of a server with these settings are read and made from. */
export function certificateOptions(
  config: Config,
  clock: Clock,
  random: Random,
): CertificateOptions & { readonly clock: Clock } {
  return {
    dataDir: config.dataDir,
    names: certificateNames(config, hostname()),
    given: config.tls,
    rollover: config.authorityRollover,
    clock,
    random,
  };
}

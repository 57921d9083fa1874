import type { TrustFile, TrustReading } from "../../agent/updater/trust-file.ts";
import type { TrustRecord } from "../../agent/updater/trust-record.ts";
import { openTrustStore, type TrustStore } from "../../agent/updater/trust-store.ts";
import { TEST_PUBLISHER } from "./test-release.ts";

/** A trust record that outlives the processes of a test's host, though not the test. */
export class MemoryTrustFile implements TrustFile {
  readonly path = "/memory/trust";
  reading: TrustReading = { kind: "absent" };

  async read(): Promise<TrustReading> {
    return this.reading;
  }

  async write(record: TrustRecord): Promise<void> {
    this.reading = { kind: "read", record };
  }
}

/** What a host of TEST_PUBLISHER trusts, told by `file` what its earlier processes learned. */
export function openMemoryTrust(file: TrustFile = new MemoryTrustFile()): Promise<TrustStore> {
  return openTrustStore(file, { roots: TEST_PUBLISHER.rootKeys, sequence: 0, keysSequence: 0 });
}

/** What sealing the audit log asks of the store. */
import type { AuditSeal } from "../domain/audit-seal.ts";

/** The audit log and its seals. */
export interface AuditSealStore {
  /** The newest id, and whoever may still add a lesser one. *Shape*: `undefined` for a log without events. */
  findBound(): Promise<{ readonly toId: bigint; readonly writers: readonly string[] } | undefined>;
  /** Whether none of these may add anything any more. */
  hasEnded(writers: readonly string[]): Promise<boolean>;
  /** Seals what is not sealed yet, up to an id. The newest seal then. */
  seal(toId: bigint): Promise<AuditSeal | undefined>;
}

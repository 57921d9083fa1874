/** A seal over the audit events from one id to another, and over every seal before it. */
export interface AuditSeal {
  readonly fromId: bigint;
  readonly toId: bigint;
  /** sha256 over the digest of the seal before and the events. *Shape*: lower-case hex. */
  readonly digest: string;
  readonly sealedAt: Date;
}

/** What comparing the audit log with its seals brought to light. */
export interface AuditCheck {
  /** The newest seal. Written down elsewhere, it can't be replaced unseen. */
  readonly head: AuditSeal | undefined;
  /** The first seal that does not fit its events, or not the seal before it. */
  readonly broken: AuditSeal | undefined;
}

/** Which entries of the audit log are shown: read from the address. */
import { AUDIT_GROUPS } from "../../../../gen/words/audit-words.ts";

/** The whole of a view. */
export interface AuditQuery {
  /** A group of actions such as `host.`; empty for all. */
  readonly type: string;
  readonly actor: string;
  readonly host: string;
}

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads a view. Values that nobody knows are left out. */
export function readAuditQuery(query: URLSearchParams): AuditQuery {
  const type = query.get("type") ?? "";
  const host = query.get("host") ?? "";
  return {
    type: AUDIT_GROUPS.some(([prefix]) => prefix === type) ? type : "",
    actor: (query.get("actor") ?? "").slice(0, 64),
    host: ID.test(host) ? host : "",
  };
}

/** The query part of an address that shows this view. *Shape*: empty, or begins with `?`. */
export function writeAuditQuery(view: AuditQuery): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) if (value !== "") query.set(name, value as string);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

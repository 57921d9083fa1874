/** What an entry of the audit log was about and why it came to be, in the words that the pages use elsewhere. */
import type { AuditEvent } from "../rollcall/v1/attention_pb.js";
import { shortReason } from "../short-reason.ts";
import { formatBytes } from "./quantities.ts";

type Details = Readonly<Record<string, unknown>>;

/** What an entry is about, besides a host: a name that somebody gave, or a version. */
export interface AuditSubject {
  readonly text: string;
  readonly isVersion: boolean;
}

/** As in `ci-deploy`, or `1.0.0 → 2.0.0`. *Shape*: `undefined` when the action says it all. */
export function auditSubject(event: AuditEvent): AuditSubject | undefined {
  const { from_version: from, to_version: to, version, username, label } = readDetails(event);
  if (isText(from) && isText(to)) return { text: `${from} → ${to}`, isVersion: true };
  const released = isText(to) ? to : version;
  if (isText(released)) return { text: released, isVersion: true };
  const named = isText(username) ? username : label;
  return isText(named) ? { text: named, isVersion: false } : undefined;
}

/** Why it came to be, as in `Not enough disk space; the host reported it`. */
export function auditWhy(event: AuditEvent): string {
  const { reason } = readDetails(event);
  if (!isText(reason)) return upperFirst(event.cause);
  const short = shortReason(reason);
  // Its cause repeats the reason by its name.
  if (event.action === "fleet.update_halted") return `Halted at this host: ${lowerFirst(short)}`;
  return `${upperFirst(short)}; ${event.cause}`;
}

/** All that was noted with an entry, by name. *Shape*: empty when there is nothing, or nothing that can be read. */
export function auditFacts(event: AuditEvent): readonly (readonly [name: string, value: string])[] {
  return Object.entries(readDetails(event)).flatMap(([name, value]) => {
    if (value === null || value === undefined || value === "") return [];
    return [[NAMES[name] ?? spell(name), valueWords(name, value)] as const];
  });
}

/** What facts are called, where spelling out their name would not do. */
const NAMES: Readonly<Record<string, string>> = {
  actualSha256: "sha256 on the host",
  actualVersion: "version reported",
  api_token_id: "token id",
  artifactPlatform: "platform of the file",
  bytesFree: "free",
  bytesNeeded: "needed",
  detail: "as the host put it",
  errorCode: "system's error",
  expectedSha256: "sha256 of the release",
  expectedVersion: "version expected",
  from_version: "from",
  key_id: "signed by",
  label: "for",
  lastState: "got as far as",
  maxFailures: "failures borne",
  maxInFlight: "hosts at a time",
  maximumAgeReached: "ran for 60 minutes",
  offline: "a host that is offline",
  path: "folder",
  retry_of: "again after",
  sequence: "no.",
  to_version: "to",
};

const VALUES: Readonly<Record<string, (value: unknown) => string>> = {
  reason: (value) => shortReason(String(value)),
  bytesFree: (value) => formatBytes(Number(value)),
  bytesNeeded: (value) => formatBytes(Number(value)),
  offline: (value) => (value === "skip" ? "is skipped" : "halts it"),
  kind: (value) => spell(String(value)),
  lastState: (value) => spell(String(value)),
  signing_keys: (value) =>
    Array.isArray(value) ? value.map((key: Details) => String(key["label"] ?? key["public_key"])).join(", ") : "",
};

function valueWords(name: string, value: unknown): string {
  const words = VALUES[name];
  if (words !== undefined) return words(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value as string | number);
}

/** `max_uses` and `maxUses` are read as `max uses`. */
function spell(name: string): string {
  return name.replaceAll("_", " ").replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function readDetails(event: AuditEvent): Details {
  try {
    const details: unknown = JSON.parse(event.details || "{}");
    return typeof details === "object" && details !== null ? (details as Details) : {};
  } catch {
    return {};
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** The names a server certificate is valid for, as DER GeneralNames. */
import { isIP, isIPv4 } from "node:net";
import { sequence, tagged } from "./der.ts";

const DNS_NAME = /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/**
 * Lower-cased names without repetitions.
 *
 * *Throws* Error that names the first one that is neither a DNS name nor an IP address.
 */
export function normalizeNames(names: readonly string[]): readonly string[] {
  if (names.length === 0) throw new Error("a server certificate needs at least one DNS name or IP address");
  const normalized = [...new Set(names.map((name) => name.toLowerCase()))];
  const wrong = normalized.find((name) => isIP(name) === 0 && (name.length > 253 || !DNS_NAME.test(name)));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is neither a DNS name nor an IP address`);
  return normalized;
}

/** GeneralNames: dNSName is `[2]`, iPAddress is `[7]`. *Source*: RFC 5280 section 4.2.1.6. */
export function generalNames(names: readonly string[]): Buffer {
  return sequence(
    ...names.map((name) =>
      isIP(name) === 0 ? tagged(0x82, Buffer.from(name, "ascii")) : tagged(0x87, addressBytes(name)),
    ),
  );
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  // URL writes every IPv6 address as groups of hex with at most one "::".
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const zeros = Array<number>(8 - before.length - after.length).fill(0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}

function groupsOf(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

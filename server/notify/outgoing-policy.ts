/**
 * Where notifications may go. An admin of this server is not one of the networks it
 * stands in, so what they enter must not reach its own machine, its neighbours or a
 * cloud's metadata: a name is resolved once, its address is judged, and that address
 * is connected to. What the operator listed in the server's settings is exempt.
 */
import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { SendFailure } from "./ports.ts";

/** Resolves a name, as `dns.promises.lookup` does. */
export type Lookup = (hostname: string) => Promise<LookupAddress>;

/** What was listed: names, addresses and networks. */
export interface AllowedDestinations {
  readonly names: ReadonlySet<string>;
  readonly networks: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[];
}

/** A place to connect to. */
export interface Destination {
  readonly address: string;
  readonly family: 4 | 6;
  /** Listed by the operator, so that it need not speak TLS. */
  readonly isListed: boolean;
}

/**
 * Reads a list such as `hooks.internal,10.1.2.0/24,192.0.2.7`.
 *
 * *Throws* Error that names the entry.
 */
export function parseAllowedDestinations(entries: readonly string[]): AllowedDestinations {
  const names = new Set<string>();
  const networks: [ipaddr.IPv4 | ipaddr.IPv6, number][] = [];
  for (const entry of entries) {
    const [address = "", length] = entry.split("/");
    if (isIP(address) !== 0) {
      const whole = `${address}/${isIP(address) === 4 ? 32 : 128}`;
      if (!ipaddr.isValidCIDR(length === undefined ? whole : entry)) throw new Error(`${entry} is no network`);
      networks.push(ipaddr.parseCIDR(length === undefined ? whole : entry));
    } else if (length === undefined && /^[A-Za-z0-9.-]{1,253}$/.test(address)) {
      names.add(address.toLowerCase());
    } else {
      throw new Error(`${entry} is no name, address or network`);
    }
  }
  return { names, networks };
}

/**
 * Resolves where `hostname` (as it stands in a URL) is, once.
 *
 * *Throws* SendFailure when it has no address, or one that must not be reached.
 */
export async function findDestination(
  hostname: string,
  allowed: AllowedDestinations,
  lookup: Lookup,
): Promise<Destination> {
  const name = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const { address, family } = await resolve(name, lookup);
  const parsed = ipaddr.process(address);
  const isListed = allowed.names.has(name) || allowed.networks.some((network) => isWithin(parsed, network));
  // Everything that is no plain public address is named otherwise: private, loopback, link-local, translated, …
  if (!isListed && parsed.range() !== "unicast")
    throw new SendFailure(
      `${name} is at ${parsed.toString()}, which is not a public address (${parsed.range()}); list it in ROLLCALL_NOTIFY_ALLOW to reach it.`,
    );
  return { address, family: family === 6 ? 6 : 4, isListed };
}

async function resolve(name: string, lookup: Lookup): Promise<LookupAddress> {
  const family = isIP(name);
  if (family !== 0) return { address: name, family };
  try {
    return await lookup(name);
  } catch (error) {
    throw new SendFailure(`The name ${name} can't be resolved.`, error);
  }
}

function isWithin(
  address: ipaddr.IPv4 | ipaddr.IPv6,
  [network, length]: readonly [ipaddr.IPv4 | ipaddr.IPv6, number],
): boolean {
  return address.kind() === network.kind() && address.match(network, length);
}

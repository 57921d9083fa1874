/**
 * Which servers are reached without the proxy. What `no_proxy` means differs from
 * program to program; here, as for curl, with which a host is installed:
 *
 *     *                      every server
 *     example.org            this name and every name below it; .example.org and *.example.org are the same
 *     10.0.0.1, [fd00::1]    this address
 *     10.0.0.0/8, fd00::/8   every address of this range
 *
 * Each but a range may end in `:port` and then holds for that port alone. Names are
 * not resolved: an address or a range holds for servers that are configured by address.
 */
import { BlockList, isIP } from "node:net";

/** One entry of `no_proxy`. */
export type ProxyException =
  | { readonly kind: "all"; readonly port: number | undefined }
  | { readonly kind: "name"; readonly name: string; readonly port: number | undefined }
  | {
      readonly kind: "range";
      readonly network: string;
      readonly prefixBits: number;
      readonly port: number | undefined;
    };

const NAME_PATTERN = /^(?:\*?\.)?(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/;
const ENTRY_PATTERN = /^(?:\[(?<bracketed>[^\]]+)\]|(?<plain>[^:[\]]+))(?::(?<port>[0-9]{1,5}))?$/;

/** Reads one entry; `undefined` when it is none. */
export function parseProxyException(entry: string): ProxyException | undefined {
  const [network = "", bits, ...rest] = entry.split("/");
  if (bits !== undefined) return rest.length === 0 ? parseRange(network, bits) : undefined;
  if (isIP(entry) !== 0) return parseAddress(entry, undefined);
  const { bracketed, plain, port: portText } = ENTRY_PATTERN.exec(entry)?.groups ?? {};
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? parseAddress(bracketed, port) : undefined;
  if (plain === undefined) return undefined;
  if (plain === "*") return { kind: "all", port };
  return isIP(plain) === 0 ? parseName(plain.toLowerCase(), port) : parseAddress(plain, port);
}

/** True when one of them holds for `server`, which is `host:port`. */
export function isExcepted(exceptions: readonly ProxyException[], server: string): boolean {
  const colon = server.lastIndexOf(":");
  const host = server.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(server.slice(colon + 1));
  return exceptions.some(
    (exception) => (exception.port === undefined || exception.port === port) && holdsFor(exception, host),
  );
}

function holdsFor(exception: ProxyException, host: string): boolean {
  switch (exception.kind) {
    case "all":
      return true;
    case "name": {
      const name = withoutFinalDot(host.toLowerCase());
      return name === exception.name || name.endsWith(`.${exception.name}`);
    }
    case "range": {
      if (isIP(host) === 0) return false;
      const range = new BlockList();
      range.addSubnet(exception.network, exception.prefixBits, familyOf(exception.network));
      return range.check(host, familyOf(host));
    }
  }
}

function parseName(name: string, port: number | undefined): ProxyException | undefined {
  // What ends in a number alone is an address that was mistyped, not a name.
  if (!NAME_PATTERN.test(name) || /(?:^|\.)[0-9]+\.?$/.test(name)) return undefined;
  return { kind: "name", name: withoutFinalDot(name.replace(/^\*?\./, "")), port };
}

function parseAddress(network: string, port: number | undefined): ProxyException {
  return { kind: "range", network, prefixBits: widthOf(network), port };
}

function parseRange(network: string, bits: string): ProxyException | undefined {
  const prefixBits = Number(bits);
  if (isIP(network) === 0 || !/^[0-9]{1,3}$/.test(bits) || prefixBits > widthOf(network)) return undefined;
  return { kind: "range", network, prefixBits, port: undefined };
}

function widthOf(address: string): number {
  return isIP(address) === 4 ? 32 : 128;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}

function withoutFinalDot(name: string): string {
  return name.replace(/\.$/, "");
}

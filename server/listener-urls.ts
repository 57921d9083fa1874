/** Where the listeners are reached. */
import { hostname } from "node:os";
import { isWebTls, type Config } from "./config.ts";

/** Where a person on this machine's network reaches the web listener. */
export function webUrl(
  config: Config,
  web: { readonly address: { readonly host: string; readonly port: number } },
): string {
  const { host, port } = web.address;
  const name = host === "0.0.0.0" || host === "::" ? hostname() : host;
  return `${isWebTls(config) ? "https" : "http"}://${formatAddress({ host: name, port })}`;
}

/** `host:port`, an IPv6 address in brackets. */
export function formatAddress(address: { readonly host: string; readonly port: number }): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

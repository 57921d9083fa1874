import type { HttpProxy } from "./http-proxy.ts";
import { isExcepted, type ProxyException } from "./proxy-exception.ts";

/** What the configuration says about the way out. */
export interface ProxySettings {
  readonly httpsProxy: HttpProxy | undefined;
  readonly noProxy: readonly ProxyException[];
}

/** The proxy through which to reach `server`, which is `host:port`; `undefined` to go there directly. */
export function chooseProxy(settings: ProxySettings, server: string): HttpProxy | undefined {
  return isExcepted(settings.noProxy, server) ? undefined : settings.httpsProxy;
}

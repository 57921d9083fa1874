/** The dashboard's addresses: one name and one path a page. */

/** What an address shows. */
export type Route =
  | { readonly page: "hosts" | "enrol" | "alerts" | "audit" | "releases" | "users" | "tokens" | "account" }
  | { readonly page: "notifications" }
  | { readonly page: "more" | "sign-in" | "setup" | "not-found" }
  | { readonly page: "host"; readonly hostId: string }
  /** Without an id: the one that runs, or none. */
  | { readonly page: "fleet-update"; readonly id: string | undefined };

const PATHS = {
  hosts: "/hosts",
  enrol: "/hosts/enrol",
  "fleet-update": "/settings/fleet-update",
  alerts: "/alerts",
  audit: "/audit",
  releases: "/settings/releases",
  users: "/settings/users",
  tokens: "/settings/tokens",
  notifications: "/settings/notifications",
  account: "/account",
  more: "/more",
  "sign-in": "/sign-in",
  setup: "/setup",
} as const;

/** Pages that have one address. */
export type Place = keyof typeof PATHS;

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What `pathname` shows. */
export function parseRoute(pathname: string): Route {
  const path = pathname.length > 1 ? pathname.replace(/\/+$/, "") : pathname;
  if (path === "/" || path === "") return { page: "hosts" };
  for (const [page, own] of Object.entries(PATHS) as [Place, string][]) {
    if (path === own) return page === "fleet-update" ? { page, id: undefined } : { page };
  }
  const [, parent, id] = /^(.*)\/([^/]+)$/.exec(path) ?? [];
  if (id === undefined || !ID.test(id)) return { page: "not-found" };
  if (parent === PATHS.hosts) return { page: "host", hostId: id };
  if (parent === PATHS["fleet-update"]) return { page: "fleet-update", id };
  return { page: "not-found" };
}

/** The address of a page. */
export function pathTo(place: Place): string {
  return PATHS[place];
}

/** The address of a host. */
export function hostPath(hostId: string): string {
  return `${PATHS.hosts}/${hostId}`;
}

/** The address of a fleet update, of today or of the past. */
export function fleetUpdatePath(id: string): string {
  return `${PATHS["fleet-update"]}/${id}`;
}

/** Where somebody goes once signed in. *Shape*: a path of ours, whatever the address says. */
export function readNext(query: URLSearchParams): string {
  const next = query.get("next") ?? "";
  // `//name` and `/\name` would be another site's address.
  return /^\/(?![/\\])/.test(next) && !next.startsWith(PATHS["sign-in"]) ? next : PATHS.hosts;
}

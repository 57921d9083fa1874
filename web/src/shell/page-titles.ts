import type { Route } from "../routing/routes.ts";

const TITLES: Readonly<Record<Route["page"], string>> = {
  hosts: "Hosts",
  host: "Host",
  enrol: "Enrol a host",
  "fleet-update": "Fleet update",
  alerts: "Alerts",
  audit: "Audit log",
  releases: "Releases",
  users: "Users",
  tokens: "API tokens",
  notifications: "Notifications",
  account: "Account",
  more: "More",
  "sign-in": "Sign in",
  setup: "Set up",
  "not-found": "Not found",
};

/** What a page is called. */
export function pageTitle(route: Route): string {
  return TITLES[route.page];
}

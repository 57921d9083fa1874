import type { Component } from "svelte";
import type { Route } from "../routing/routes.ts";

/** The pages that are fetched when they are first opened. */
export const PAGES: Partial<Record<Route["page"], () => Promise<{ default: Component }>>> = {
  host: () => import("../pages/host/HostPage.svelte"),
  enrol: () => import("../pages/enrol/EnrolPage.svelte"),
  "fleet-update": () => import("../pages/fleet-update/FleetUpdatePage.svelte"),
  alerts: () => import("../pages/alerts/AlertsPage.svelte"),
  audit: () => import("../pages/audit/AuditPage.svelte"),
  releases: () => import("../pages/releases/ReleasesPage.svelte"),
  users: () => import("../pages/users/UsersPage.svelte"),
  tokens: () => import("../pages/api-tokens/ApiTokensPage.svelte"),
  notifications: () => import("../pages/notifications/NotificationsPage.svelte"),
  account: () => import("../pages/account/AccountPage.svelte"),
  more: () => import("../pages/more/MorePage.svelte"),
};

import type { Component } from "svelte";
import type { Route } from "../routing/routes.ts";

/** The pages that are fetched when they are first opened. */
export const PAGES: Partial<Record<Route["page"], () => Promise<{ default: Component }>>> = {
  host: () => import("../pages/host/HostPage.svelte"),
  "fleet-update": () => import("../pages/fleet-update/FleetUpdatePage.svelte"),
};

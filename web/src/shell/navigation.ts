import type { Component } from "svelte";
import Bell from "@lucide/svelte/icons/bell";
import ListStart from "@lucide/svelte/icons/list-start";
import Key from "@lucide/svelte/icons/key-round";
import Logs from "@lucide/svelte/icons/text-align-start";
import Package from "@lucide/svelte/icons/package";
import Server from "@lucide/svelte/icons/server";
import Send from "@lucide/svelte/icons/send";
import Users from "@lucide/svelte/icons/users";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import type { Place } from "../routing/routes.ts";

/** One entry of the navigation. */
export interface NavigationEntry {
  readonly place: Place;
  readonly label: string;
  readonly icon: Component;
  /** Who sees it: whom the server would let read the page. */
  readonly role: Role;
}

/** What an operator looks at all day. */
export const DAILY: readonly NavigationEntry[] = [
  { place: "hosts", label: "Hosts", icon: Server, role: Role.VIEWER },
  { place: "fleet-update", label: "Fleet update", icon: ListStart, role: Role.VIEWER },
  { place: "alerts", label: "Alerts", icon: Bell, role: Role.VIEWER },
  { place: "audit", label: "Audit log", icon: Logs, role: Role.OPERATOR },
];

/** What is set once in a while. */
export const SETTINGS: readonly NavigationEntry[] = [
  { place: "releases", label: "Releases", icon: Package, role: Role.VIEWER },
  { place: "users", label: "Users", icon: Users, role: Role.ADMIN },
  { place: "tokens", label: "API tokens", icon: Key, role: Role.ADMIN },
  { place: "notifications", label: "Notifications", icon: Send, role: Role.ADMIN },
];

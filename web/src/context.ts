import { createContext } from "svelte";
import type { Session } from "./account/session.svelte.ts";
import type { Api } from "./api.ts";
import type { Fleet } from "./fleet/fleet.svelte.ts";
import type { Router } from "./routing/router.svelte.ts";
import type { Toasts } from "./shell/toasts.svelte.ts";
import type { Clock } from "./time/browser-clock.ts";
import type { ServerTime } from "./time/server-time.svelte.ts";

/** What every component may ask for, whoever is signed in. */
export interface Page {
  readonly api: Api;
  readonly clock: Clock;
  readonly router: Router;
  readonly session: Session;
  readonly time: ServerTime;
  readonly toasts: Toasts;
}

/** Handed down by the root of the page. */
export const [getPage, setPage] = createContext<Page>();

/** Handed down once somebody is signed in. */
export const [getFleet, setFleet] = createContext<Fleet>();

/** What the browser's tab tells of the fleet while somebody looks elsewhere. */
import { FleetUpdateState, type FleetUpdate } from "../../../gen/rollcall/v1/rollout_pb.js";

/** What the tab knows. */
export interface TabFacts {
  readonly title: string;
  readonly behind: number;
  readonly failing: number;
  readonly newestUpdate: FleetUpdate | undefined;
  readonly isConnected: boolean;
}

/** As in `(6 behind) Hosts · Rollcall`. A page that has lost the server says nothing of the fleet. */
export function tabTitle({ title, behind, newestUpdate, isConnected }: TabFacts): string {
  if (!isConnected) return `(no connection) ${title} · Rollcall`;
  if (title === "Fleet update" && newestUpdate !== undefined) {
    const { counts, state } = newestUpdate;
    // Hosts that were skipped leave the whole, as they do on the page.
    const total = (counts?.total ?? 0) - (counts?.skipped ?? 0);
    if (state === FleetUpdateState.RUNNING) return `${counts?.succeeded ?? 0} of ${total} · Fleet update · Rollcall`;
    if (state === FleetUpdateState.HALTED) return "Halted · Fleet update · Rollcall";
  }
  return `${title === "Hosts" && behind > 0 ? `(${behind} behind) ` : ""}${title} · Rollcall`;
}

/** The tab's picture while there is nothing to tell. */
export const PLAIN_ICON = "/favicon-plain.svg";

/** Shows a picture in the tab; its link stands in the page's head, outside of what is drawn. */
export function showTabIcon(href: string): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (link !== null && link.getAttribute("href") !== href) link.href = href;
}

/** Address of the tab's picture: the worst of what is known. */
export function tabIcon({ behind, failing, newestUpdate, isConnected }: TabFacts): string {
  if (!isConnected) return "/favicon-lost.svg";
  if (failing > 0 || newestUpdate?.state === FleetUpdateState.HALTED) return "/favicon-failed.svg";
  return behind > 0 ? "/favicon-behind.svg" : PLAIN_ICON;
}

import { parseRoute, pathTo, type Route } from "./routes.ts";
import { scrollOnceTall } from "./scroll-once-tall.ts";

/** What the browser keeps with each entry of the history. */
interface Entry {
  /** How many entries stand before it. */
  readonly index: number;
}

/** The address bar as state: what it shows, and how to go elsewhere. */
export class Router {
  #url: URL = $state.raw(new URL(location.href));
  readonly pathname: string = $derived(this.#url.pathname);
  readonly route: Route = $derived(parseRoute(this.pathname));
  readonly query: URLSearchParams = $derived(this.#url.searchParams);
  readonly fragment: string = $derived(this.#url.hash.slice(1));
  /** Rises with each change of page, also back and forth; pages of one kind count as one. */
  readonly pageKey: string = $derived("hostId" in this.route ? this.route.hostId : this.route.page);

  /** The list of hosts as it was last filtered and sorted. */
  hostsHref: string = $state(pathTo("hosts"));

  #index = (history.state as Entry | null)?.index ?? 0;
  /** How far down each entry of the history was when it was left. *Units*: CSS pixels, by the entry's index. */
  readonly #left = new Map<number, number>();

  /** Starts to follow the browser. Returns the end of it. */
  follow(): () => void {
    history.scrollRestoration = "manual";
    history.replaceState({ index: this.#index } satisfies Entry, "");
    const popped = (event: PopStateEvent): void => {
      // The browser is elsewhere already; what is drawn is still the page that was left.
      this.#left.set(this.#index, scrollY);
      this.#index = (event.state as Entry | null)?.index ?? 0;
      this.#url = new URL(location.href);
      scrollOnceTall(this.#left.get(this.#index) ?? 0);
    };
    const clicked = (event: MouseEvent): void => this.#followLink(event);
    addEventListener("popstate", popped);
    document.addEventListener("click", clicked);
    return () => {
      removeEventListener("popstate", popped);
      document.removeEventListener("click", clicked);
    };
  }

  /** Goes to another page, as a new entry of the history. */
  go(href: string): void {
    const url = new URL(href, location.href);
    if (url.href === location.href) return;
    this.#left.set(this.#index, scrollY);
    this.#index += 1;
    // What stood ahead is gone for good.
    for (const index of this.#left.keys()) if (index >= this.#index) this.#left.delete(index);
    history.pushState({ index: this.#index } satisfies Entry, "", url);
    if (this.route.page === "hosts") this.hostsHref = `${pathTo("hosts")}${this.#url.search}`;
    const samePage = url.pathname === this.#url.pathname;
    this.#url = url;
    if (!samePage) scrollOnceTall(0);
  }

  /** Changes this entry's address, as typing into a search field does. */
  replace(href: string): void {
    const url = new URL(href, location.href);
    history.replaceState(history.state, "", url);
    this.#url = url;
  }

  /** A plain click on a link of ours stays in the page; the browser does all others. */
  #followLink(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || link.target !== "" || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || link.getAttribute("href")?.startsWith("#") === true) return;
    event.preventDefault();
    this.go(link.href);
  }
}

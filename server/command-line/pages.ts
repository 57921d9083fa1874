/** Lists that the server hands out page by page. */

/** *Units*: items; the most the server gives. */
const PAGE_SIZE = 1000;

/** Where a page begins, and how long it may be. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** All items of a list, or its first `limit`. `fetch` gives one page and where the next one begins. */
export async function listAll<Item>(
  fetch: (page: PageRequest) => Promise<{ readonly items: readonly Item[]; readonly nextPageToken: string }>,
  limit = Number.POSITIVE_INFINITY,
): Promise<Item[]> {
  const found: Item[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(PAGE_SIZE, limit - found.length);
    const page = await fetch({ pageSize, pageToken });
    found.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && found.length < limit);
  return found;
}

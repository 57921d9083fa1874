import { InvalidFieldError } from "../domain/errors.ts";
import { isId } from "../domain/ids.ts";

const DEFAULT_PAGE_SIZE = 100;

/** How many entries a page has. */
export function pageSize(asked: number): number {
  return asked || DEFAULT_PAGE_SIZE;
}

/** Packs where the next page begins. Opaque to callers; not secret. */
function encodePageToken(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/**
 * Unpacks a page token.
 *
 * *Shape*: `undefined` for the first page.
 * *Throws* InvalidFieldError for a token that no answer of this API held.
 */
export function decodePageToken<Parts extends readonly string[]>(
  token: string,
  isParts: (parts: unknown[]) => boolean,
): Parts | undefined {
  if (token === "") return undefined;
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (Array.isArray(parts) && parts.every(isText) && isParts(parts)) {
      return parts as unknown as Parts;
    }
  } catch {
    // Not JSON: the same answer as for JSON of another shape.
  }
  throw new InvalidFieldError("pageToken", "is not a token from a former answer");
}

/** The database takes no NUL, wherever it comes from. */
function isText(part: unknown): part is string {
  return typeof part === "string" && !part.includes("\u0000");
}

/** Where a page begins that is ordered by an instant, newest first, then by id. */
export function decodeInstantToken(token: string): { readonly at: Date; readonly id: string } | undefined {
  const parts = decodePageToken<[string, string]>(
    token,
    ([at, id]) => typeof at === "string" && isInstant(at) && typeof id === "string" && isId(id),
  );
  return parts && { at: new Date(parts[0]), id: parts[1] };
}

/** As `toISOString` writes the instants of this era; PostgreSQL knows fewer of the others than JavaScript. */
function isInstant(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text));
}

/** One page out of the entries that were read, which are one more than a page when there is a next one. */
export function cutPage<Entry>(
  entries: readonly Entry[],
  limit: number,
  positionOf: (last: Entry) => readonly string[],
): { readonly page: readonly Entry[]; readonly nextPageToken: string } {
  const page = entries.slice(0, limit);
  const last = page.at(-1);
  return { page, nextPageToken: entries.length > limit && last !== undefined ? encodePageToken(positionOf(last)) : "" };
}

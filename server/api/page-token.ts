import { InvalidFieldError } from "../domain/errors.ts";

/** Packs where the next page begins. Opaque to callers; not secret. */
export function encodePageToken(parts: readonly string[]): string {
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
    if (Array.isArray(parts) && parts.every((part) => typeof part === "string") && isParts(parts)) {
      return parts as unknown as Parts;
    }
  } catch {
    // Not JSON: the same answer as for JSON of another shape.
  }
  throw new InvalidFieldError("pageToken", "is not a token from a former answer");
}

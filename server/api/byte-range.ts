/** The part of a file that a request asks for. *Source*: RFC 9110, section 14. */

/** Positions of the first and the last byte. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads a `Range` header. Several ranges at once, and other units, are answered with the whole file, as the RFC allows.
 *
 * *Shape*: `undefined` for the whole file.
 */
export function readByteRange(header: string | undefined, sizeBytes: number): ByteRange | "unsatisfiable" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const lengthBytes = Math.min(Number(last), sizeBytes);
    return lengthBytes === 0 ? "unsatisfiable" : { first: sizeBytes - lengthBytes, last: sizeBytes - 1 };
  }
  if (last !== "" && Number(last) < Number(first)) return undefined;
  if (Number(first) >= sizeBytes) return "unsatisfiable";
  return { first: Number(first), last: last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) };
}

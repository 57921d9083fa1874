/** Versions, paths and the like in the middle of a sentence, which are set in another type. */

/** A stretch of a sentence. */
export interface Span {
  readonly text: string;
  readonly isCode: boolean;
}

/** Cuts a sentence at each whole occurrence of one of `codes`. The stretches together are the sentence. */
export function splitCode(sentence: string, codes: readonly string[]): readonly Span[] {
  const known = [...new Set(codes)].filter((code) => code !== "").toSorted((a, b) => b.length - a.length);
  if (known.length === 0) return [{ text: sentence, isCode: false }];
  // A full stop ends a sentence; within a longer version or path it does not.
  const pattern = new RegExp(`(?<![\\w./+-])(${known.map(escapePattern).join("|")})(?![\\w/+-]|\\.\\w)`, "u");
  return sentence
    .split(pattern)
    .map((text, index) => ({ text, isCode: index % 2 === 1 }))
    .filter(({ text }) => text !== "");
}

function escapePattern(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

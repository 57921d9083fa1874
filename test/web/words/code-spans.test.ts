import { expect, test } from "vitest";
import { splitCode } from "../../../web/src/words/code-spans.ts";

/** A sentence with its code between brackets. */
const marked = (sentence: string, codes: readonly string[]): string =>
  splitCode(sentence, codes)
    .map(({ text, isCode }) => (isCode ? `[${text}]` : text))
    .join("");

test.each([
  ["db-02 still runs v1.7.2.", ["v1.7.2"], "db-02 still runs [v1.7.2]."],
  ["v1.7.2 → v1.8.0", ["v1.7.2", "v1.8.0"], "[v1.7.2] → [v1.8.0]"],
  ["1.8.0-older or 1.8.0?", ["1.8.0", "1.8.0-older"], "[1.8.0-older] or [1.8.0]?"],
  ["21.0.0 is not 1.0.0, nor is 1.0.0.1", ["1.0.0"], "21.0.0 is not [1.0.0], nor is 1.0.0.1"],
  ["under /opt/rollcall and needs 118 MB", ["/opt/rollcall"], "under [/opt/rollcall] and needs 118 MB"],
  ["nothing to mark", ["", "v1"], "nothing to mark"],
  ["a (b) c", ["(b)"], "a [(b)] c"],
])("%s", (sentence, codes, expected) => {
  expect(marked(sentence, codes)).toBe(expected);
  expect(
    splitCode(sentence, codes)
      .map(({ text }) => text)
      .join(""),
  ).toBe(sentence);
});

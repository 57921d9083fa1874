import { expect, test } from "vitest";
import { formatBytes, formatDuration, nameSome, percentOf, shortenVersion } from "../../../gen/words/quantities.ts";
import { formatAgo } from "../../../gen/words/times.ts";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_700_000, "1.7 MB"],
  [61_000_000, "61 MB"],
  [999_600, "1.0 MB"],
  [2n ** 53n, "9.0 PB"],
])("%s bytes read as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [400, "under 1 s"],
  [44_000, "44 s"],
  [192_000, "3 min 12 s"],
  [7_200_000, "2 h"],
  [260_000_000, "3 d"],
])("%i ms read as %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("a percent is never above what there is, and unknown without a size", () => {
  expect(percentOf(620n, 1000n)).toBe(62);
  expect(percentOf(999n, 1000n)).toBe(99);
  expect(percentOf(5n, 0n)).toBeUndefined();
  expect(percentOf(2000n, 1000n)).toBe(100);
});

test("a long version keeps its tail, which is where those of git differ", () => {
  expect(shortenVersion("v1.8.0")).toBe("v1.8.0");
  expect(shortenVersion("v1.6.9-14-g3fc1a2b")).toBe("v1.6.9…-g3fc1a2b");
});

test("some names stand for many", () => {
  expect(nameSome(["a"])).toBe("a");
  expect(nameSome(["a", "b"])).toBe("a and b");
  expect(nameSome(["a", "b", "c", "d"])).toBe("a, b and 2 more");
});

test("times are told against a clock that may run behind", () => {
  const now = Date.UTC(2026, 10, 24, 14, 2);
  expect(formatAgo(now + 5_000, now)).toBe("just now");
  expect(formatAgo(now - 4_000, now)).toBe("4 s ago");
  expect(formatAgo(now - 150_000, now)).toBe("2 min ago");
  expect(formatAgo(now - 3 * 86_400_000, now)).toBe("3 d ago");
  expect(formatAgo(Date.UTC(2026, 10, 2, 12), now)).toBe("2 Nov");
});

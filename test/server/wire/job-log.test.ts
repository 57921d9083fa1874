import { expect, test } from "vitest";
import { readJobLog } from "../../../server/wire/job-log.ts";

test("whatever bytes a host sends become printable lines", () => {
  const bytes = Buffer.from("one\r\n\u001b[31mtwo\u0000\u202e\n\n\tat file.js\n\u2028three", "utf8");
  expect(readJobLog(bytes)).toEqual(["one", "[31mtwo", "  at file.js", "three"]);
  expect(readJobLog(Uint8Array.of(0x61, 0xff, 0xc3))).toEqual(["a\ufffd\ufffd"]);
  expect(readJobLog(new Uint8Array())).toEqual([]);
  expect(readJobLog(undefined)).toEqual([]);
});

test("the last 200 lines count, and none is longer than 1,000 characters", () => {
  const lines = Array.from({ length: 300 }, (_, index) => `${index}`);
  expect(readJobLog(Buffer.from(lines.join("\n")))).toEqual(lines.slice(100));
  expect(readJobLog(Buffer.from("\u{1f600}".repeat(800)))[0]).toHaveLength(1_000);
  expect(readJobLog(Buffer.from(`x${"\u{1f600}".repeat(800)}`))[0]?.isWellFormed()).toBe(true);
});

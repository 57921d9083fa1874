import { expect, test } from "vitest";
import { parseDemoOptions } from "./options.ts";

test("three hosts and no updates unless asked otherwise", () => {
  expect(parseDemoOptions([])).toEqual({ hosts: 3, auto: false });
  expect(parseDemoOptions(["--hosts", "12", "--auto"])).toEqual({ hosts: 12, auto: true });
});

test("a host to break is one of those there are", () => {
  expect(parseDemoOptions(["--break", "2", "--break-after", "3"])).toMatchObject({ breakHost: 2, breakAfterHost: 3 });
  expect(() => parseDemoOptions(["--break", "4"])).toThrow("--break takes the number of a host, from 1 to 3, not 4");
  expect(() => parseDemoOptions(["--break-after", "0"])).toThrow("--break-after takes the number of a host");
});

test.each(["0", "51", "-1", "two", "1e1", ""])("--hosts=%s is refused in words", (value) => {
  expect(() => parseDemoOptions([`--hosts=${value}`])).toThrow("--hosts takes a number from 1 to 50");
});

test("an unknown option is named", () => {
  expect(() => parseDemoOptions(["--host", "3"])).toThrow("--host");
});

import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { repositoryRoot } from "../../toolchain/repository-root.ts";

/** What no source of the dashboard may hold, and why. */
const FORBIDDEN: readonly (readonly [why: string, files: RegExp, pattern: RegExp])[] = [
  ["markup made of text: a host's name could be a script", /\.svelte$/, /\{@html|innerHTML|insertAdjacentHTML/],
  ["a style in the markup: the page's policy refuses it", /\.(?:svelte|html)$/, /<[^>]*\sstyle=/],
  ["an inline script: the page's policy refuses it", /\.html$/, /<script(?![^>]*\ssrc=)/],
  [
    "a colour outside of tokens.css",
    /(?<!tokens)\.(?:css|svelte)$/,
    /#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})\b(?=\s*[;,)])|\b(?:oklch|rgb|rgba|hsl|hsla)\(/i,
  ],
  [
    "the browser's own time or chance",
    /\.svelte$/,
    /Date\.now|new Date\(\)|performance\.now|Math\.random|setTimeout|setInterval/,
  ],
  [
    "an address of another origin, but for examples that people read",
    /\.(?:svelte|ts|css|html|js)$/,
    /["'(]https?:\/\/(?!www\.w3\.org|[\w-]+\.example\.org\/)/,
  ],
];

let sources: ReadonlyMap<string, string>;

beforeAll(async () => {
  const web = join(repositoryRoot, "web");
  const entries = await readdir(web, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  sources = new Map(
    await Promise.all(files.map(async (path) => [relative(web, path), await readFile(path, "utf8")] as const)),
  );
});

test.each(FORBIDDEN)("no source holds %s", (_why, files, pattern) => {
  const found = [...sources].filter(([path, text]) => files.test(path) && pattern.test(text)).map(([path]) => path);
  expect(found).toEqual([]);
  expect([...sources.keys()].some((path) => files.test(path))).toBe(true);
});

test.each([
  [0, "<p>{@html host.hostname}</p>"],
  [1, '<p style="color: red">'],
  [2, "<script>alert(1)</script>"],
  [3, "a { color: #a1b2c3; }"],
  [3, "a { color: rgb(1 2 3); }"],
  [4, "const now = Date.now();"],
  [5, 'fetch("https://evil.example")'],
])("rule %i would notice %s", (rule, text) => {
  expect(FORBIDDEN[rule]?.[2].test(text)).toBe(true);
});

/** Windows brings curl along, Wine does not: a program of the same name that does what `install.cmd` asks of it. */
import { hash } from "node:crypto";
import { access, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildExecutable } from "../../agent/build/executable.ts";
import { prepareNodeBinary } from "../../agent/build/node-binary.ts";
import { TARGETS } from "../../agent/build/target.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";

/** Ends as curl does: 22 for a refusal, 90 for another key than the pinned one, 7 for a server that is not there. */
const PROGRAM = `
const { createHash, X509Certificate } = require("node:crypto");
const { readFileSync, writeFileSync } = require("node:fs");
const words = process.argv.slice(2);
const valueOf = (name) => words[words.indexOf(name) + 1];
const has = (name) => words.includes(name);
const url = new URL(words.at(-1));
const headers = {};
if (has("-H")) {
  const [name, ...value] = readFileSync(valueOf("-H").slice(1), "utf8").trim().split(": ");
  headers[name] = value.join(": ");
}
const fail = (status, sentence) => {
  writeFileSync(valueOf("-o") + ".said", "curl: (" + status + ") " + sentence + "\\n");
  process.exit(status);
};
const { get } = require(url.protocol === "https:" ? "node:https" : "node:http");
const request = get(url, { headers, rejectUnauthorized: false, agent: false }, (response) => {
  if (has("--pinnedpubkey")) {
    const key = new X509Certificate(response.socket.getPeerCertificate().raw).publicKey;
    const digest = createHash("sha256").update(key.export({ type: "spki", format: "der" })).digest("base64");
    if (valueOf("--pinnedpubkey") !== "sha256//" + digest) fail(90, "another key than the pinned one");
  }
  const parts = [];
  response.on("data", (part) => parts.push(part));
  response.on("end", () => {
    if (response.statusCode >= 400) fail(22, "the server answers " + response.statusCode);
    writeFileSync(valueOf("-o"), Buffer.concat(parts));
  });
});
request.on("error", (error) => fail(7, error.message));
`;

/** Its path, built once a checkout. */
export async function buildStandInCurl(): Promise<string> {
  const cache = join(repositoryRoot, "dist", "cache");
  const path = join(cache, `curl-${hash("sha256", PROGRAM, "hex").slice(0, 16)}.exe`);
  try {
    await access(path);
    return path;
  } catch {
    const node = await prepareNodeBinary(repositoryRoot, TARGETS["windows-x64"]);
    const workDir = await mkdtemp(join(cache, ".curl-"));
    try {
      await writeFile(join(workDir, "agent.cjs"), PROGRAM);
      await buildExecutable(repositoryRoot, node, workDir, join(workDir, "curl.exe"));
      await rename(join(workDir, "curl.exe"), path);
    } finally {
      await rm(workDir, { recursive: true });
    }
    return path;
  }
}

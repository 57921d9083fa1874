/**
 * What a machine fetches to become a host, and a host to be installed anew: the script
 * for it, which anybody may read, and with a token the files of a release, units and
 * guard. An enrolment token lets it in, and is not used up by it; so does a host's own
 * credential, and whoever may look at the fleet may download too. Names are compared
 * with those of the files that there are, never made into paths.
 */
import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { pipeline } from "node:stream/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { Role } from "../../gen/rollcall/v1/options_pb.js";
import { readByteRange } from "./byte-range.ts";
import type { CallerDirectory } from "./caller.ts";
import { identifyCaller, readBearer } from "./identify-caller.ts";
import { PlainRefusal, refusePlainly } from "./plain-refusal.ts";
import type { RequestFacts } from "./request-facts.ts";

/** A file that may be downloaded. */
export interface Download {
  /** What is sent, or where it stands. */
  readonly content: Uint8Array | { readonly path: string; readonly sizeBytes: number; readonly sha256: string };
  readonly contentType: string;
}

/** Finds the files of releases. */
export interface DownloadSource {
  /** `version` may be `target`. *Shape*: `undefined` for what is no file of a release. */
  findReleaseFile(version: string, file: string): Promise<Download | undefined>;
}

/** Finds what an install needs beside a release. */
export interface InstallSource {
  /** A script, for whoever reached this server at `origin`. */
  script(name: "install.sh" | "install.cmd", origin: string): Promise<Download>;
  /** A file, for whoever reached this server at `origin`. *Shape*: `undefined` for what an install does not need. */
  readFile(name: string, origin: string): Promise<Download | undefined>;
}

/** What downloads work with. */
export interface DownloadParts {
  readonly callers: CallerDirectory;
  readonly downloads: DownloadSource;
  readonly install: InstallSource;
  /** True while a host could enrol with it, or is enrolled with it. It is not used up. */
  readonly mayInstall: (bearer: string) => Promise<boolean>;
  readonly logFailure: (method: string, error: unknown) => void;
}

const SCRIPT_PATH = /^\/install\/(install\.(?:sh|cmd))$/;
const INSTALL_PATH = /^\/install\/([^/]+)$/;
const RELEASE_PATH = /^\/releases\/([^/]+)\/(.+)$/;

type Request = IncomingMessage | Http2ServerRequest;

/** Answers a request for a download; false, and nothing sent, for any other. */
export function answerDownload(
  parts: DownloadParts,
  request: Request,
  response: ServerResponse,
  facts: RequestFacts,
): boolean {
  const [path = ""] = (request.url ?? "").split("?", 1);
  const find = chooseSource(parts, path, facts);
  if (find === undefined) return false;
  serve(parts, request, response, facts, { find, isPublic: SCRIPT_PATH.test(path) }).catch((error: unknown) =>
    refusePlainly(response, error, (unforeseen) => parts.logFailure("download", unforeseen)),
  );
  return true;
}

type Find = () => Promise<Download | undefined>;

function chooseSource(parts: DownloadParts, path: string, facts: RequestFacts): Find | undefined {
  const [, script] = SCRIPT_PATH.exec(path) ?? [];
  if (script === "install.sh" || script === "install.cmd") return () => parts.install.script(script, facts.origin);
  const [, name] = INSTALL_PATH.exec(path) ?? [];
  if (name !== undefined) return () => parts.install.readFile(name, facts.origin);
  const [, version, file] = RELEASE_PATH.exec(path) ?? [];
  if (version === undefined || file === undefined) return undefined;
  return () => parts.downloads.findReleaseFile(version, file);
}

async function serve(
  parts: DownloadParts,
  request: Request,
  response: ServerResponse,
  facts: RequestFacts,
  { find, isPublic }: { readonly find: Find; readonly isPublic: boolean },
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD")
    throw new PlainRefusal(405, "only GET and HEAD", { allow: "GET, HEAD" });
  // Also what anybody may read: as a script of root's it must not be changed on its way.
  if (!facts.mayUseCookies) throw new PlainRefusal(403, "tokens and scripts may cross a network under TLS only");
  if (!isPublic) await authorize(parts, request, facts);
  const download = await find();
  if (download === undefined) throw new PlainRefusal(404, "there is no such file here");
  const { content, contentType } = download;
  if (content instanceof Uint8Array) {
    const sha256 = createHash("sha256").update(content).digest("hex");
    const range = writeHead(request, response, { sizeBytes: content.length, sha256, contentType });
    response.end(request.method === "HEAD" ? undefined : content.subarray(range.first, range.last + 1));
    return;
  }
  await using file = await openWhole(content);
  const range = writeHead(request, response, { ...content, contentType });
  if (request.method === "HEAD") response.end();
  else await pipeline(file.createReadStream({ start: range.first, end: range.last, autoClose: false }), response);
}

/** *Throws* PlainRefusal unless the file is as long as its release says. */
async function openWhole(content: { readonly path: string; readonly sizeBytes: number }): Promise<FileHandle> {
  const damaged = new PlainRefusal(503, "this server's copy is missing or damaged; import the release again");
  const file = await open(content.path, "r").catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? damaged : error;
  });
  if ((await file.stat()).size === content.sizeBytes) return file;
  await file.close();
  throw damaged;
}

/** *Throws* PlainRefusal, or ConnectError as for an RPC. */
async function authorize(parts: DownloadParts, request: Request, facts: RequestFacts): Promise<void> {
  const { authorization, cookie } = request.headers;
  const bearer = authorization === undefined ? undefined : readBearer(authorization);
  if (bearer !== undefined && (await parts.mayInstall(bearer))) return;
  const headers = { authorization: authorization ?? null, cookie: cookie ?? null, contentType: null };
  const caller = await identifyCaller(parts.callers, headers, facts);
  if (caller.role < Role.VIEWER)
    throw new ConnectError("Send an enrolment token or an API token: `authorization: Bearer …`.", Code.Unauthenticated);
}

function writeHead(
  request: Request,
  response: ServerResponse,
  file: { readonly sizeBytes: number; readonly sha256: string; readonly contentType: string },
) {
  const etag = `"${file.sha256}"`;
  const ifRange = request.headers["if-range"];
  const asked = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  const range = readByteRange(asked, file.sizeBytes);
  if (range === "unsatisfiable")
    throw new PlainRefusal(416, "there are no such bytes", { "content-range": `bytes */${file.sizeBytes}` });
  const { first, last } = range ?? { first: 0, last: file.sizeBytes - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    "content-type": file.contentType,
    "content-length": last - first + 1,
    "accept-ranges": "bytes",
    etag,
    ...(range === undefined ? {} : { "content-range": `bytes ${first}-${last}/${file.sizeBytes}` }),
  });
  return { first, last };
}

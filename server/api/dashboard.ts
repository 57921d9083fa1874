/**
 * Serves the built dashboard: few files, read once at the start, so that a build that
 * is exchanged under a running server changes nothing.
 *
 * A page's address is for the dashboard to understand, so every address that a browser
 * opens is answered with the one page. Files under `/assets/` carry a digest in their
 * name and are kept for ever; everything else is asked for again.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { extname, join, relative, sep } from "node:path";

/** What of a request decides the answer. */
export interface PageRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** The dashboard, ready to be served. */
export interface Dashboard {
  /** Answers a request for a page or a file of it; false, and nothing sent, for any other. */
  answer(request: PageRequest, response: ServerResponse): boolean;
}

interface ServedFile {
  readonly type: string;
  readonly etag: string;
  readonly bodies: Readonly<Record<Encoding, Buffer | undefined>>;
}

type Encoding = "identity" | "br" | "gzip";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** The page runs and loads what this server sends as files, talks to this server, and to nobody else. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE = "/index.html";
const NOT_BUILT = "The dashboard is not built. `npm start` builds it; the API answers all the same.\n";

/** Reads what `npm start` built into `folder`. Without a build, pages say so. */
export async function loadDashboard(folder: string): Promise<Dashboard> {
  const files = await readFiles(folder);
  return {
    answer: (request, response) => {
      if (request.method !== "GET" && request.method !== "HEAD") return false;
      const path = pathOf(request.url);
      const file = path === PAGE ? undefined : files.get(path);
      if (file !== undefined) {
        send(request, response, file, path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
        return true;
      }
      if (!isPage(path, request.headers.accept)) return false;
      const page = files.get(PAGE);
      if (page === undefined) {
        response.writeHead(503, { "content-type": "text/plain" }).end(NOT_BUILT);
      } else {
        send(request, response, page, "no-store");
      }
      return true;
    },
  };
}

/** What a browser opens as a page: no file's name, and no address of an RPC. */
function isPage(path: string, accept: string | undefined): boolean {
  if (path === "/") return true;
  return accept?.includes("text/html") === true && !path.includes(".") && path !== "/healthz";
}

function pathOf(url: string | undefined): string {
  return (url ?? "/").replace(/[?#].*$/s, "");
}

function send(request: PageRequest, response: ServerResponse, file: ServedFile, cacheControl: string): void {
  response.setHeader("cache-control", cacheControl);
  response.setHeader("content-security-policy", CONTENT_SECURITY_POLICY);
  response.setHeader("cross-origin-opener-policy", "same-origin");
  response.setHeader("cross-origin-resource-policy", "same-origin");
  response.setHeader("vary", "accept-encoding");
  if (cacheControl !== "no-store") {
    response.setHeader("etag", file.etag);
    if (request.headers["if-none-match"] === file.etag) {
      response.writeHead(304).end();
      return;
    }
  }
  const encoding = chooseEncoding(request.headers["accept-encoding"], file);
  const body = file.bodies[encoding] ?? Buffer.alloc(0);
  if (encoding !== "identity") response.setHeader("content-encoding", encoding);
  response.writeHead(200, { "content-type": file.type, "content-length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
}

function chooseEncoding(accepted: string | string[] | undefined, file: ServedFile): Encoding {
  const names = String(accepted ?? "")
    .split(",")
    .map((name) => name.trim());
  return (
    (["br", "gzip"] as const).find((name) => names.includes(name) && file.bodies[name] !== undefined) ?? "identity"
  );
}

async function readFiles(folder: string): Promise<ReadonlyMap<string, ServedFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = new Map<string, ServedFile>();
  for (const entry of entries) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const path = join(entry.parentPath, entry.name);
    const identity = await readFile(path);
    const [br, gzip] = await Promise.all(
      ["br", "gz"].map((name) => readFile(`${path}.${name}`).catch(() => undefined)),
    );
    const etag = `"${createHash("sha256").update(identity).digest("base64url").slice(0, 27)}"`;
    files.set(`/${relative(folder, path).split(sep).join("/")}`, { type, etag, bodies: { identity, br, gzip } });
  }
  return files;
}

/** `release -- import`: brings a built and signed release to a server, which checks all of it before it keeps any. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { decodeManifest } from "../../gen/manifest.ts";
import type { ImportReleaseRequestSchema } from "../../gen/rollcall/v1/catalog_pb.js";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Manifest, ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import { OperatorError } from "../operator-error.ts";
import { readInput } from "./read-input.ts";
import { readVerbArguments } from "./verb-arguments.ts";
import type { Workbench } from "./workbench.ts";

const DEFAULT_SERVER = "http://127.0.0.1:7170";
const DEFAULT_TOKEN_FILE = "data/admin-token";
/** *Units*: bytes of an artifact in one message. */
const CHUNK_BYTES = 256 * 1024;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

type Message = MessageInitShape<typeof ImportReleaseRequestSchema>;

/** Uploads the release in a folder. *Throws* OperatorError with the server's own sentence when it refuses. */
export async function importRelease(words: readonly string[], bench: Workbench): Promise<void> {
  const { values, positionals } = readVerbArguments(words, {
    server: { type: "string", default: DEFAULT_SERVER },
    "token-file": { type: "string", default: DEFAULT_TOKEN_FILE },
    "ca-file": { type: "string" },
  });
  const [folder] = positionals;
  if (folder === undefined || positionals.length > 1)
    throw new OperatorError("import takes the folder of one release", { exitStatus: 2 });
  const server = parseServer(values.server);
  const token = (await readInput(values["token-file"])).toString("utf8").trim();
  const ca = values["ca-file"] === undefined ? undefined : await readInput(values["ca-file"]);
  const release = await send(connect(server, token, ca), await readFolder(folder), bench, server);
  const signer = `${release.keyId}${release.keyLabel === "" ? "" : ` (${release.keyLabel})`}`;
  bench.print(`imported ${release.version}, sequence ${release.sequence}, signed by key ${signer}`);
  if (release.development)
    bench.print("It is signed with development keys: anybody can sign for hosts that take them.");
  if (release.target) bench.print("It is the target version.");
}

interface ReleaseFolder {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly documents: Message;
}

async function readFolder(folder: string): Promise<ReleaseFolder> {
  const [manifest, signature, keys, keysSignature] = await Promise.all(
    ["manifest.json", "manifest.json.minisig", "keys.json", "keys.json.minisig"].map((file) =>
      readInput(join(folder, file)),
    ),
  );
  if (manifest === undefined) throw new Error("no manifest was read");
  const value = { manifest, signature, keys, keysSignature };
  try {
    return { folder, manifest: decodeManifest(manifest), documents: { part: { case: "documents", value } } };
  } catch (error) {
    throw new OperatorError(`${join(folder, "manifest.json")}: ${(error as Error).message}`, { cause: error });
  }
}

async function send(client: Client<typeof FleetService>, release: ReleaseFolder, bench: Workbench, server: URL) {
  // What cannot be read here reaches the transport as a failed stream, which words it in its own way.
  const unreadable: Error[] = [];
  try {
    const { release: imported } = await client.importRelease(readMessages(release, bench, unreadable));
    if (imported === undefined) throw new OperatorError(`${server.origin} answered without a release`);
    return imported;
  } catch (error) {
    const [problem] = unreadable;
    if (problem !== undefined) throw new OperatorError(problem.message, { cause: problem });
    if (!(error instanceof ConnectError)) throw error;
    const isUnreachable = error.code === Code.Unavailable && isSystemError(error.cause);
    const sentence = isUnreachable ? `${server.origin} cannot be reached: ${error.rawMessage}` : error.rawMessage;
    throw new OperatorError(sentence, { cause: error });
  }
}

async function* readMessages(release: ReleaseFolder, bench: Workbench, unreadable: Error[]): AsyncGenerator<Message> {
  yield release.documents;
  for (const artifact of release.manifest.artifacts) {
    try {
      yield* readChunks(release.folder, artifact, bench);
    } catch (error) {
      unreadable.push(error as Error);
      throw error;
    }
  }
}

async function* readChunks(folder: string, artifact: ManifestArtifact, bench: Workbench): AsyncGenerator<Message> {
  const { platform, fileName } = artifact;
  const sizeBytes = Number(artifact.sizeBytes);
  await using file = await open(join(folder, platform, fileName), "r");
  let sentBytes = 0;
  let toldTenths = 0;
  for (;;) {
    // A fresh buffer each time: the transport may still hold the last one.
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES);
    if (bytesRead === 0) return;
    yield { part: { case: "chunk", value: { platform, data: buffer.subarray(0, bytesRead) } } };
    sentBytes += bytesRead;
    const tenths = Math.floor((10 * sentBytes) / sizeBytes);
    if (tenths > toldTenths) bench.print(`${platform}/${fileName}: ${10 * tenths} % of ${sizeBytes} bytes sent`);
    toldTenths = tenths;
  }
}

/** What the machine itself said, such as ECONNREFUSED; a server's own answer has no such cause. */
function isSystemError(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause;
}

function parseServer(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new OperatorError(`--server ${text} is no URL such as https://rollcall.example.org:7170`, { exitStatus: 2 });
  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname))
    throw new OperatorError(`--server ${text}: a token may cross a network under TLS only; use https`, {
      exitStatus: 2,
    });
  return url;
}

function connect(server: URL, token: string, ca: Buffer | undefined): Client<typeof FleetService> {
  const transport = createConnectTransport({
    baseUrl: server.origin,
    // In HTTP/2 a window of 64 KiB a round trip would bound an upload over a long way.
    httpVersion: "1.1",
    nodeOptions: ca === undefined ? {} : { ca },
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return createClient(FleetService, transport);
}

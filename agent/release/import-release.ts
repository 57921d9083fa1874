/** `release -- import`: brings a built and signed release to a server, which checks all of it before it keeps any. */
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { readReleaseFolder, UnreadableReleaseError, uploadRelease } from "../../gen/release-upload.ts";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { OperatorError } from "../operator-error.ts";
import { readInput } from "./read-input.ts";
import { readVerbArguments } from "./verb-arguments.ts";
import type { Workbench } from "./workbench.ts";

const DEFAULT_SERVER = "http://127.0.0.1:7170";
const DEFAULT_TOKEN_FILE = "data/admin-token";
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

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
  const release = await send(connect(server, token, ca), folder, bench, server);
  const signer = `${release.keyId}${release.keyLabel === "" ? "" : ` (${release.keyLabel})`}`;
  bench.print(`imported ${release.version}, sequence ${release.sequence}, signed by key ${signer}`);
  if (release.development)
    bench.print("It is signed with development keys: anybody can sign for hosts that take them.");
  if (release.target) bench.print("It is the target version.");
}

async function send(client: Client<typeof FleetService>, folder: string, bench: Workbench, server: URL) {
  try {
    const answer = await uploadRelease(
      await readReleaseFolder(folder),
      (messages) => client.importRelease(messages),
      (file, percent, sizeBytes) => bench.print(`${file}: ${percent} % of ${sizeBytes} bytes sent`),
    );
    if (answer.release === undefined) throw new OperatorError(`${server.origin} answered without a release`);
    return answer.release;
  } catch (error) {
    if (error instanceof UnreadableReleaseError) throw new OperatorError(error.message, { cause: error });
    if (!(error instanceof ConnectError)) throw error;
    const isUnreachable = error.code === Code.Unavailable && isSystemError(error.cause);
    const sentence = isUnreachable ? `${server.origin} cannot be reached: ${error.rawMessage}` : error.rawMessage;
    throw new OperatorError(sentence, { cause: error });
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

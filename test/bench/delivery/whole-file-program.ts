/**
 * The download that deltas are compared with: one file, compressed by zstd as a
 * whole, over plain HTTP, inflated as it comes, made durable, its sha256 checked.
 *
 *     serve ADDRESS FILE           prints its port; ends with its input
 *     fetch URL TARGET SHA256      prints how many milliseconds it took
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { createServer, get, type IncomingMessage } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { stopwatchMs } from "../stopwatch-clock.ts";

const [verb, first = "", second = "", third = ""] = process.argv.slice(2);
if (verb === "serve") await serve(first, second);
else await fetchWhole(first, second, third);

async function serve(address: string, file: string): Promise<void> {
  const server = createServer((_request, response) => createReadStream(file).pipe(response));
  server.listen(0, address);
  await once(server, "listening");
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
  process.stdin.resume();
  await once(process.stdin, "end");
  server.close();
  server.closeAllConnections();
}

async function fetchWhole(url: string, target: string, sha256: string): Promise<void> {
  const startedMs = stopwatchMs();
  const [response] = (await once(get(url), "response")) as [IncomingMessage];
  await pipeline(response, createZstdDecompress(), createWriteStream(target, { flags: "wx" }));
  await using file = await open(target, "r+");
  await file.sync();
  const digest = createHash("sha256");
  await pipeline(createReadStream(target), digest);
  if (digest.digest("hex") !== sha256) throw new Error(`${target} is not the file that was asked for`);
  process.stdout.write(`${stopwatchMs() - startedMs}\n`);
}

/**
 * A lock among the processes of one machine: a socket in Linux's abstract
 * namespace. The kernel drops it with its process, so no stale lock can remain,
 * and who waits is told by the end of a connection instead of asking again.
 */
import { connect, createServer } from "node:net";

/** Runs `work` while no other process of this machine holds `name`. */
export async function withMachineLock(name, work) {
  const address = `\0${name}`;
  for (;;) {
    const server = await tryListen(address);
    if (server === undefined) {
      await waitForRelease(address);
      continue;
    }
    try {
      return await work();
    } finally {
      server.release();
    }
  }
}

function tryListen(address) {
  const waiting = new Set();
  const server = createServer((socket) => {
    waiting.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => waiting.delete(socket));
  });
  server.release = () => {
    server.close();
    for (const socket of waiting) socket.destroy();
  };
  return new Promise((resolve, reject) => {
    server.once("error", (error) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen(address, () => resolve(server));
  });
}

function waitForRelease(address) {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.resume();
    // Refused: released between the two calls.
    socket.on("error", () => socket.destroy());
    socket.on("close", resolve);
  });
}

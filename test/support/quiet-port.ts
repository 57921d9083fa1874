import { once } from "node:events";
import { createServer } from "node:net";
import { systemRandom } from "../../server/clock-system.ts";

/** Below the ports that Linux hands out by itself (`net.ipv4.ip_local_port_range`, from 32768 on). */
const LOWEST = 10_000;
const COUNT = 22_000;

/**
 * A port of 127.0.0.1 that is free now and that the system gives to nobody who asks
 * for any: a server that goes away for a while finds it free when it comes back.
 */
export async function findQuietPort(): Promise<number> {
  for (;;) {
    const port = LOWEST + (Buffer.from(systemRandom.bytes(4)).readUInt32LE() % COUNT);
    const server = createServer();
    try {
      server.listen({ host: "127.0.0.1", port });
      await once(server, "listening");
      const closed = once(server, "close");
      server.close();
      await closed;
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

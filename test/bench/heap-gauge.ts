/**
 * How much of a process's memory is in use once its garbage is collected: its resident
 * memory tells that only after hours, as a young heap grows at its own pace. The process
 * has to run with its inspector open.
 */
import { once } from "node:events";
import { WebSocket } from "ws";

/** In the environment of a process that is to be gauged. */
export const INSPECTED = { NODE_OPTIONS: "--inspect=127.0.0.1:0" };

interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize: number;
}

/** Collects the garbage of the process that wrote this log, the last one if there were several. *Units*: bytes in use then. */
export async function gaugeHeap(log: string): Promise<number> {
  const url = [...log.matchAll(/^Debugger listening on (ws:\/\/\S+)$/gm)].at(-1)?.[1];
  if (url === undefined) throw new Error("the process has no inspector");
  const socket = new WebSocket(url);
  try {
    await once(socket, "open");
    let lastId = 0;
    const call = async (method: string): Promise<unknown> => {
      lastId += 1;
      socket.send(JSON.stringify({ id: lastId, method }));
      for (;;) {
        const [data] = (await once(socket, "message")) as [Buffer];
        const answer = JSON.parse(data.toString()) as { readonly id?: number; readonly result?: unknown };
        if (answer.id === lastId) return answer.result;
      }
    };
    // What the first round finalises is free after the second.
    for (let round = 0; round < 2; round += 1) await call("HeapProfiler.collectGarbage");
    const usage = (await call("Runtime.getHeapUsage")) as HeapUsage;
    return usage.usedSize + usage.backingStorageSize;
  } finally {
    socket.terminate();
  }
}

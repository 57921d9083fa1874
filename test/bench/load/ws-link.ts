/** The same conversation over a WebSocket, one binary message for each of gRPC's. */
import { WebSocket } from "ws";
import { brokenLink, type AgentLink, type LinkEvents, type LinkTarget } from "./agent-link.ts";

/** Connects. What is sent before the connection stands waits for it. */
export function openWsLink(target: LinkTarget, events: LinkEvents): AgentLink {
  const { host, port, caPem, localAddress, credential } = target;
  const socket = new WebSocket(`wss://${host}:${port}/`, {
    ca: caPem,
    localAddress,
    perMessageDeflate: false,
    headers: { authorization: `Bearer ${credential}` },
  });
  const waiting: Uint8Array[] = [];
  let cause = "closed";
  socket.on("error", (error: NodeJS.ErrnoException) => {
    cause = error.code ?? error.message;
  });
  socket.once("open", () => {
    for (const bytes of waiting.splice(0)) socket.send(bytes);
  });
  socket.on("message", (data) => events.message(data as Buffer));
  socket.once("close", () => events.ended(brokenLink(cause)));
  return {
    send: (bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
      else waiting.push(bytes);
    },
    request: () => Promise.reject(new Error("a WebSocket carries one stream")),
    leave: () => socket.close(),
    destroy: () => socket.terminate(),
  };
}

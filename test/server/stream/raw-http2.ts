/**
 * HTTP/2 frames by hand, for what no client library would send.
 *
 * *Source*: RFC 9113 section 4.1, RFC 7541 section 6.2.2.
 */
import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, continuation: 9 } as const;
const ACKNOWLEDGE = 0x1;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;

/** One frame. */
export function http2Frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A header block of literals that touch no table. */
export function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), headerString(name), headerString(value)]));
}

function headerString(text: string): Buffer {
  const length: number[] = text.length < 127 ? [text.length] : [127];
  if (text.length >= 127) {
    let rest = text.length - 127;
    for (; rest >= 128; rest = rest >> 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(text, "latin1")]);
}

/** A TLS connection on which HTTP/2 has begun. */
export async function openHttp2(port: number, ca: string): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", port, ca, servername: "localhost", ALPNProtocols: ["h2"] });
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), http2Frame(FRAME.settings, 0, 0)]));
  // The server's limits hold from the moment that its settings are acknowledged.
  await once(socket, "data");
  socket.write(http2Frame(FRAME.settings, ACKNOWLEDGE, 0));
  return socket;
}

/** The code of the RST_STREAM that comes for `streamId`. *Shape*: `undefined` when the connection ends without one. */
export function resetCodeOf(socket: TLSSocket, streamId: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    let unread = Buffer.alloc(0);
    socket.on("data", (data: Buffer) => {
      unread = Buffer.concat([unread, data]);
      while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
        const end = 9 + unread.readUIntBE(0, 3);
        if (unread.readUInt8(3) === FRAME.reset && unread.readUInt32BE(5) === streamId) resolve(unread.readUInt32BE(9));
        unread = unread.subarray(end);
      }
    });
    socket.on("close", () => resolve(undefined));
  });
}

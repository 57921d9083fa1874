/**
 * The few parts of HTTP/2 that the connection of a simulated agent needs. Frames are
 * made and taken apart by hand: a generator that spends as much processor time on an
 * agent as the server does would measure itself.
 *
 * *Source*: RFC 9113, sections 3.4, 4.1 and 6.
 */

/** Types of frames. */
export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
} as const;

/** Flags of frames. */
export const FLAG = { none: 0, endStream: 1, ack: 1, endHeaders: 4 } as const;

/** One frame. *Shape*: `payload` is a view of what was read. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** 0 for the connection itself. */
  readonly streamId: number;
  readonly payload: Buffer;
}

const HEADER_BYTES = 9;
const NOTHING = Buffer.alloc(0);
const DEFAULT_WINDOW_BYTES = 65_535;
const GREATEST_WINDOW_BYTES = 2 ** 31 - 1;
const SETTING = { headerTableSize: 1, enablePush: 2, initialWindowSize: 4 } as const;

/** A frame as bytes. */
export function encodeFrame(type: number, flags: number, streamId: number, payload: Uint8Array = NOTHING): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/**
 * What a client says first: the server keeps no table of headers for it, and may send as
 * much as it likes, so that no window has to be counted.
 */
export function clientPreface(): Buffer {
  return Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"),
    encodeFrame(
      FRAME.settings,
      FLAG.none,
      0,
      settings([
        [SETTING.headerTableSize, 0],
        [SETTING.enablePush, 0],
        [SETTING.initialWindowSize, GREATEST_WINDOW_BYTES],
      ]),
    ),
    encodeFrame(FRAME.windowUpdate, FLAG.none, 0, uint32(GREATEST_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)),
  ]);
}

/** Cuts what arrives into frames. */
export class FrameReader {
  #pending: Buffer = NOTHING;

  /** The frames that are whole with `chunk`, in order. */
  push(chunk: Buffer): readonly Frame[] {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Frame[] = [];
    let start = 0;
    while (bytes.length - start >= HEADER_BYTES) {
      const end = start + HEADER_BYTES + bytes.readUIntBE(start, 3);
      if (end > bytes.length) break;
      frames.push({
        type: bytes.readUInt8(start + 3),
        flags: bytes.readUInt8(start + 4),
        streamId: bytes.readUInt32BE(start + 5) & 0x7fff_ffff,
        payload: bytes.subarray(start + HEADER_BYTES, end),
      });
      start = end;
    }
    this.#pending = start === bytes.length ? NOTHING : bytes.subarray(start);
    return frames;
  }
}

function settings(values: readonly (readonly [number, number])[]): Buffer {
  const bytes = Buffer.alloc(values.length * 6);
  for (const [index, [id, value]] of values.entries()) {
    bytes.writeUInt16BE(id, index * 6);
    bytes.writeUInt32BE(value, index * 6 + 2);
  }
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

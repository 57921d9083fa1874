/** Machines by number. *Source*: ELF gABI, e_machine. */
const ARCHITECTURES: Readonly<Record<number, string>> = { 62: "x64", 183: "arm64" };

/**
 * The platform a program was built for, from the first bytes of its file.
 *
 * *Shape*: `linux-<arch>`, `linux-unknown` for a machine without releases, `undefined` for what is no 64-bit
 * little-endian ELF program. *Source*: ELF gABI, "ELF Header".
 */
export function readElfPlatform(head: Uint8Array): string | undefined {
  if (head.length < 20) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const hasMagic = view.getUint32(0) === 0x7f454c46;
  const is64BitLittleEndian = view.getUint8(4) === 2 && view.getUint8(5) === 1;
  const type = view.getUint16(16, true);
  // 2 is a program at a fixed address, 3 a position-independent one.
  if (!hasMagic || !is64BitLittleEndian || (type !== 2 && type !== 3)) return undefined;
  return `linux-${ARCHITECTURES[view.getUint16(18, true)] ?? "unknown"}`;
}

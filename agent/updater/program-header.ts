/** Machines by number. *Source*: ELF gABI, e_machine. */
const ELF_ARCHITECTURES: Readonly<Record<number, string>> = { 62: "x64", 183: "arm64" };
/** *Source*: PE format, "Machine types". */
const PE_ARCHITECTURES: Readonly<Record<number, string>> = { 34404: "x64", 43620: "arm64" };

/** What must be known of a program's file to tell its platform. *Units*: bytes. */
export const PROGRAM_HEAD_BYTES = 4096;

/**
 * The platform a program was built for, from the first bytes of its file.
 *
 * *Shape*: `<os>-<arch>`, `<os>-unknown` for a machine without releases, `undefined` for what is no 64-bit program.
 */
export function readProgramPlatform(head: Uint8Array): string | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return readElfPlatform(view) ?? readPePlatform(view);
}

/** *Source*: ELF gABI, "ELF Header". */
function readElfPlatform(view: DataView): string | undefined {
  if (view.byteLength < 20) return undefined;
  const hasMagic = view.getUint32(0) === 0x7f454c46;
  const is64BitLittleEndian = view.getUint8(4) === 2 && view.getUint8(5) === 1;
  const type = view.getUint16(16, true);
  // 2 is a program at a fixed address, 3 a position-independent one.
  if (!hasMagic || !is64BitLittleEndian || (type !== 2 && type !== 3)) return undefined;
  return `linux-${ELF_ARCHITECTURES[view.getUint16(18, true)] ?? "unknown"}`;
}

/** *Source*: PE format, "MS-DOS Stub", "COFF File Header", "Optional Header". */
function readPePlatform(view: DataView): string | undefined {
  if (view.byteLength < 64 || view.getUint16(0) !== 0x4d5a) return undefined;
  const start = view.getUint32(0x3c, true);
  if (start + 26 > view.byteLength || view.getUint32(start) !== 0x50450000) return undefined;
  const characteristics = view.getUint16(start + 22, true);
  const isProgram = (characteristics & 0x0002) !== 0 && (characteristics & 0x2000) === 0;
  const is64Bit = view.getUint16(start + 24, true) === 0x20b;
  if (!isProgram || !is64Bit) return undefined;
  return `windows-${PE_ARCHITECTURES[view.getUint16(start + 4, true)] ?? "unknown"}`;
}

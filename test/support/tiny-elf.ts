/**
 * Real programs of a few instructions: a 64-bit ELF for Linux that prints one
 * text and ends as told. Two versions differ in every padded byte, so that a mix
 * of both is neither.
 */

/** What a tiny program does. */
export interface TinyElf {
  /** What it prints, as it is. */
  readonly prints: string;
  /** 1 for stdout (the default), 2 for stderr. */
  readonly stream?: 1 | 2;
  /** How it goes on after printing; exit 0 when left out. */
  readonly ending?: Ending;
  /** What it does instead of printing when its first argument is no flag: an agent that passes its probe and then is no good. */
  readonly whenRun?: Exclude<Ending, "repeat">;
  /** True when it answers `--reach` with 1 instead of printing: a version that does not reach what another one reaches. */
  readonly isCutOff?: boolean;
  /** Padded to this size; as small as can be when left out. */
  readonly sizeBytes?: number;
  /** e_machine; x86-64 when left out. Only that one runs here. */
  readonly machine?: number;
}

type Ending = { readonly exit: number } | "hang" | "repeat";

const LOAD_ADDRESS = 0x400000;
const HEADER_BYTES = 64 + 56;
const X86_64 = 62;
const SYSCALL = [0x0f, 0x05];
/** lea rsi, [rip + disp32] */
const LEA_RSI_RIP = [0x48, 0x8d, 0x35];
/** mov rax, [rsp + 16]: at the start the stack holds argc, argv[0], argv[1]. */
const LOAD_FIRST_ARGUMENT = [0x48, 0x8b, 0x44, 0x24, 0x10];
/** cmp byte [rax], '-' */
const COMPARE_WITH_DASH = [0x80, 0x38, 0x2d];
/** cmp byte [rax + 2], 'r': of the flags only `--reach` begins so. */
const COMPARE_WITH_REACH = [0x80, 0x78, 0x02, 0x72];
const JUMP_IF_EQUAL = 0x74;
const JUMP_IF_NOT_EQUAL = 0x75;
const SYS_WRITE = 1;
const SYS_PAUSE = 34;
const SYS_EXIT_GROUP = 231;

/** The bytes of a program that prints `version` on a line of its own and exits with 0. */
export function buildVersionElf(version: string, sizeBytes = 0): Buffer {
  return buildTinyElf({ prints: `${version}\n`, sizeBytes });
}

/** *Source*: ELF gABI, "ELF Header", "Program Header"; Intel SDM volume 2. */
export function buildTinyElf(elf: TinyElf): Buffer {
  const text = Buffer.from(elf.prints);
  const code = Buffer.concat([assembleWhenRun(elf.whenRun), assembleCutOff(elf.isCutOff), assemble(text.length, elf)]);
  const used = HEADER_BYTES + code.length + text.length;
  const file = Buffer.alloc(Math.max(used, elf.sizeBytes ?? 0));
  writeHeaders(file, used, elf.machine ?? X86_64);
  code.copy(file, HEADER_BYTES);
  text.copy(file, HEADER_BYTES + code.length);
  fillWithNoise(file.subarray(used), text);
  return file;
}

function writeHeaders(file: Buffer, usedBytes: number, machine: number): void {
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16); // e_type: a program at a fixed address
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS + HEADER_BYTES), 24); // e_entry
  file.writeBigUInt64LE(64n, 32); // e_phoff
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56); // one program header
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(5, 68); // readable, executable
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 80);
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 88);
  file.writeBigUInt64LE(BigInt(usedBytes), 96);
  file.writeBigUInt64LE(BigInt(usedBytes), 104);
  file.writeBigUInt64LE(0x1000n, 112);
}

/** Ends, or hangs, before anything is printed if argv[1] does not begin with "-". */
function assembleWhenRun(ending: TinyElf["whenRun"]): Buffer {
  if (ending === undefined) return Buffer.alloc(0);
  const body = assembleEnding(ending, 0);
  return Buffer.from([...LOAD_FIRST_ARGUMENT, ...COMPARE_WITH_DASH, JUMP_IF_EQUAL, body.length, ...body]);
}

/** Exits with 1 before anything is printed if argv[1] is `--reach`. */
function assembleCutOff(isCutOff: boolean | undefined): Buffer {
  if (isCutOff !== true) return Buffer.alloc(0);
  const body = assembleEnding({ exit: 1 }, 0);
  return Buffer.from([...LOAD_FIRST_ARGUMENT, ...COMPARE_WITH_REACH, JUMP_IF_NOT_EQUAL, body.length, ...body]);
}

/** write(stream, text), then exit, or wait for signals for ever, or write again. */
function assemble(textLength: number, elf: TinyElf): Buffer {
  const writeText = (distance: number): number[] => [
    ...setRegister(0xb8, SYS_WRITE),
    ...setRegister(0xbf, elf.stream ?? 1),
    ...LEA_RSI_RIP,
    ...littleEndian(distance),
    ...setRegister(0xba, textLength),
    ...SYSCALL,
  ];
  const ending = assembleEnding(elf.ending ?? { exit: 0 }, writeText(0).length);
  // The text follows the code; the distance counts from the instruction after lea.
  return Buffer.from([...writeText(setRegister(0xba, textLength).length + SYSCALL.length + ending.length), ...ending]);
}

function assembleEnding(ending: NonNullable<TinyElf["ending"]>, bytesBefore: number): number[] {
  if (ending === "repeat") return jumpBack(bytesBefore);
  if (ending !== "hang") return [...setRegister(0xb8, SYS_EXIT_GROUP), ...setRegister(0xbf, ending.exit), ...SYSCALL];
  const pause = [...setRegister(0xb8, SYS_PAUSE), ...SYSCALL];
  return [...pause, ...jumpBack(pause.length)];
}

/** jmp rel8 over `bytes` and itself. */
function jumpBack(bytes: number): number[] {
  return [0xeb, 0x100 - (bytes + 2)];
}

/** mov r32, imm32: b8 is eax, bf edi, ba edx. */
function setRegister(opcode: number, value: number): number[] {
  return [opcode, ...littleEndian(value)];
}

function littleEndian(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return [...bytes];
}

/** Bytes that depend on the text alone. *Source*: Marsaglia, "Xorshift RNGs". */
function fillWithNoise(target: Buffer, seed: Buffer): void {
  let state = seed.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 0x9e3779b9) || 1;
  for (let index = 0; index < target.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    target[index] = state;
  }
}

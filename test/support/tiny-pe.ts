/**
 * Real programs of a few instructions: a 64-bit PE for Windows that prints one text when
 * `--pr` stands in its command line, as in a probe, and otherwise ends as told or never.
 */

/** What a tiny program does. */
export interface TinyPe {
  /** What it prints when it is probed, as it is. */
  readonly prints: string;
  /** What it does otherwise. */
  readonly whenRun: { readonly exit: number } | "hang";
  /** Padded to this size; as small as can be when left out. */
  readonly sizeBytes?: number;
  /** Machine of the COFF header; x86-64 when left out. Only that one runs here. */
  readonly machine?: number;
}

const IMAGE_BASE = 0x140000000n;
const SECTION_ADDRESS = 0x1000;
const HEADERS_BYTES = 0x200;
const PE_START = 0x80;
const X86_64 = 0x8664;
/** Of kernel32.dll, in the order of their addresses in the import table. */
const IMPORTS = ["GetCommandLineA", "GetStdHandle", "WriteFile", "ExitProcess", "Sleep"] as const;
const IMPORT_BYTES = 0x100;

/** *Source*: PE format, "Optional Header", "The .idata Section"; Microsoft x64 calling convention. */
export function buildTinyPe(pe: TinyPe): Buffer {
  const text = Buffer.from(pe.prints);
  const section = Buffer.alloc(0x400);
  writeImports(section);
  const code = assemble(pe, text.length);
  code.copy(section, IMPORT_BYTES);
  text.copy(section, IMPORT_BYTES + code.length);
  const used = HEADERS_BYTES + section.length;
  const file = Buffer.alloc(Math.max(used, pe.sizeBytes ?? 0));
  writeHeaders(file, section.length, pe.machine ?? X86_64);
  section.copy(file, HEADERS_BYTES);
  // What follows the last section is never loaded.
  for (let index = used; index < file.length; index += 1) file[index] = (text[index % text.length] ?? 0) + index;
  return file;
}

function writeHeaders(file: Buffer, sectionBytes: number, machine: number): void {
  file.write("MZ", 0, "latin1");
  file.writeUInt32LE(PE_START, 0x3c);
  file.write("PE\0\0", PE_START, "latin1");
  file.writeUInt16LE(machine, PE_START + 4);
  file.writeUInt16LE(1, PE_START + 6); // sections
  file.writeUInt16LE(240, PE_START + 20); // bytes of the optional header
  file.writeUInt16LE(0x0022, PE_START + 22); // a program, and of large addresses
  const optional = PE_START + 24;
  file.writeUInt16LE(0x20b, optional); // 64-bit
  file.writeUInt32LE(SECTION_ADDRESS + IMPORT_BYTES, optional + 16); // entry point
  file.writeBigUInt64LE(IMAGE_BASE, optional + 24);
  file.writeUInt32LE(0x1000, optional + 32); // alignment in memory
  file.writeUInt32LE(0x200, optional + 36); // alignment in the file
  file.writeUInt16LE(6, optional + 40); // system version
  file.writeUInt16LE(6, optional + 48); // subsystem version
  file.writeUInt32LE(SECTION_ADDRESS + 0x1000, optional + 56); // bytes in memory
  file.writeUInt32LE(HEADERS_BYTES, optional + 60);
  file.writeUInt16LE(3, optional + 68); // console
  for (const at of [72, 80, 88, 96]) file.writeBigUInt64LE(0x100000n, optional + at); // stack and heap
  file.writeUInt32LE(16, optional + 108); // directories
  file.writeUInt32LE(SECTION_ADDRESS + 8 * (IMPORTS.length + 1), optional + 120); // of imports
  file.writeUInt32LE(40, optional + 124);
  const section = optional + 240;
  file.write(".tiny", section, "latin1");
  file.writeUInt32LE(sectionBytes, section + 8);
  file.writeUInt32LE(SECTION_ADDRESS, section + 12);
  file.writeUInt32LE(sectionBytes, section + 16);
  file.writeUInt32LE(HEADERS_BYTES, section + 20);
  file.writeUInt32LE(0xe0000060, section + 36); // code and data; to read, write and run
}

/** First the addresses that the loader fills in, then what tells it of which functions. */
function writeImports(section: Buffer): void {
  const descriptor = 8 * (IMPORTS.length + 1);
  let at = descriptor + 40;
  for (const [index, name] of IMPORTS.entries()) {
    section.writeBigUInt64LE(BigInt(SECTION_ADDRESS + at), 8 * index);
    section.write(`\0\0${name}\0`, at, "latin1");
    at += name.length + 3;
  }
  section.writeUInt32LE(SECTION_ADDRESS + at, descriptor + 12);
  section.writeUInt32LE(SECTION_ADDRESS, descriptor + 16);
  section.write("kernel32.dll\0", at, "latin1");
}

/** The text stands right behind the code. */
function assemble(pe: TinyPe, textBytes: number): Buffer {
  const code: number[] = [];
  const call = (name: (typeof IMPORTS)[number]): void => {
    const target = 8 * IMPORTS.indexOf(name);
    code.push(0xff, 0x15, ...int32(target - (IMPORT_BYTES + code.length + 6))); // call [rip + disp32]
  };
  code.push(0x48, 0x83, 0xec, 0x38); // sub rsp, 56
  call("GetCommandLineA");
  const loop = code.length;
  code.push(0x80, 0x38, 0x00); // cmp byte [rax], 0
  const toRun = code.length;
  code.push(0x74, 0); // je run
  code.push(0x81, 0x38, ...Buffer.from("--pr")); // cmp dword [rax], "--pr"
  const toProbe = code.length;
  code.push(0x74, 0); // je probe
  code.push(0x48, 0xff, 0xc0); // inc rax
  code.push(0xeb, loop - (code.length + 2)); // jmp loop
  code[toRun + 1] = code.length - (toRun + 2);
  if (pe.whenRun === "hang") {
    code.push(0xb9, ...int32(-1)); // mov ecx, INFINITE
    call("Sleep");
  } else {
    code.push(0xb9, ...int32(pe.whenRun.exit)); // mov ecx, status
    call("ExitProcess");
  }
  code[toProbe + 1] = code.length - (toProbe + 2);
  code.push(0xb9, ...int32(-11)); // mov ecx, STD_OUTPUT_HANDLE
  call("GetStdHandle");
  code.push(0x48, 0x89, 0xc1); // mov rcx, rax
  const toText = code.length;
  code.push(0x48, 0x8d, 0x15, 0, 0, 0, 0); // lea rdx, [rip + text]
  code.push(0x41, 0xb8, ...int32(textBytes)); // mov r8d, length
  code.push(0x4c, 0x8d, 0x4c, 0x24, 0x30); // lea r9, [rsp + 48]
  code.push(0x48, 0xc7, 0x44, 0x24, 0x20, ...int32(0)); // mov qword [rsp + 32], 0
  call("WriteFile");
  code.push(0x31, 0xc9); // xor ecx, ecx
  call("ExitProcess");
  code.splice(toText + 3, 4, ...int32(code.length - (toText + 7)));
  return Buffer.from(code.map((byte) => byte & 0xff));
}

function int32(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return [...bytes];
}

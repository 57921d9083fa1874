/**
 * A Windows machine as Wine makes it up, on a layer of its own above the shared root.
 *
 * All that it is lives in namespaces of one process: when that ends, however it ends, its
 * programs and mounts are gone too. It ends with this process. It has this machine's network.
 */
import { spawn, type ChildProcess, type ChildProcessByStdio } from "node:child_process";
import { watch } from "node:fs";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { WINE_ENVIRONMENT, WINE_PREFIX } from "./wine-root.ts";

const ENTER = `
set -eu
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/merged"
mount --rbind /dev "$FOLDER/merged/dev"
mount -t proc proc "$FOLDER/merged/proc"
cd "$FOLDER/merged"
exec chroot . sh -c 'echo ready; exec sleep infinity'
`;
/** How a batch file ended and what it printed. */
export interface BatchEnd {
  readonly status: number | null;
  readonly output: string;
}

const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** One machine. Disposing it ends every program of it. */
export class WineMachine implements AsyncDisposable {
  readonly #process: ChildProcessByStdio<null, Readable, null>;
  readonly #init: number;
  #scripts = 0;

  private constructor(process: ChildProcessByStdio<null, Readable, null>, init: number) {
    this.#process = process;
    this.#init = init;
  }

  /** Starts one whose own layer lies in `folder`. */
  static async start(root: string, folder: string): Promise<WineMachine> {
    for (const name of ["upper", "work", "merged"]) await mkdir(join(folder, name), { recursive: true });
    const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
    const words = ["--pdeathsig", "KILL", "unshare", ...namespaces, "sh", "-c", ENTER];
    const child = spawn("setpriv", words, {
      env: { PATH, LOWER: root, FOLDER: folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => refuse(folder))]);
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
    return new WineMachine(child, Number(children.trim()));
  }

  /** A file of drive C as this process reaches it; `path` begins behind `C:\`, with slashes. */
  path(path: string): string {
    return join("/proc", String(this.#init), "root", WINE_PREFIX, "drive_c", path);
  }

  async write(path: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(this.path(path)), { recursive: true });
    await writeFile(this.path(path), content);
  }

  /** Runs lines of a batch file to their end. They print into a file: Wine's own programs would keep a pipe open. */
  async run(lines: readonly string[]): Promise<BatchEnd> {
    const { child, output } = await this.#spawn(lines);
    const [status] = (await once(child, "exit")) as [number | null];
    return { status, output: await readFile(output, "utf8") };
  }

  /** Starts lines of a batch file; they end with the machine. */
  async start(lines: readonly string[]): Promise<void> {
    await this.#spawn(lines);
  }

  /** Ends every program of these names, batch files among them. */
  async end(...names: readonly string[]): Promise<void> {
    for (const name of names) await once(this.#enter(["taskkill", "/f", "/im", name]), "exit");
  }

  /** Resolves once a file holds this text. */
  async untilWritten(path: string, text: string): Promise<void> {
    const file = this.path(path);
    const watcher = watch(dirname(file));
    try {
      // Begins to wait before it looks, else a change in between goes unseen.
      for (let next = once(watcher, "change"); !(await readFile(file, "utf8").catch(() => "")).includes(text); ) {
        await next;
        next = once(watcher, "change");
      }
    } finally {
      watcher.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  async #spawn(lines: readonly string[]): Promise<{ readonly child: ChildProcess; readonly output: string }> {
    this.#scripts += 1;
    const name = `run-${this.#scripts}`;
    await this.write(`${name}.cmd`, ["@echo off", ...lines, ""].join("\r\n"));
    const child = this.#enter(["cmd", "/d", "/c", `C:\\${name}.cmd >C:\\${name}.txt 2>&1`]);
    return { child, output: this.path(`${name}.txt`) };
  }

  #enter(words: readonly string[]): ChildProcess {
    const enter = ["--target", String(this.#init), "--mount", "--pid", "--root", "--wd=/"];
    return spawn("nsenter", [...enter, "wine", ...words], { env: { ...WINE_ENVIRONMENT }, stdio: "ignore" });
  }
}

function refuse(folder: string): never {
  throw new Error(`the machine in ${folder} did not start`);
}

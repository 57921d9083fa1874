/** The server of an image at work in a container. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { runCommand } from "../toolchain/run-command.ts";
import type { ImageStore } from "./image-store.ts";

interface Ready {
  readonly version: string;
  readonly web: string;
  readonly agents: string;
}

export class ServerContainer implements AsyncDisposable {
  /** What its volume holds. */
  readonly volume: string;
  readonly #store: ImageStore;
  readonly #name: string;
  #process: ChildProcessByStdio<null, Readable, Readable> | undefined;
  #log = "";

  private constructor(store: ImageStore, name: string, volume: string) {
    this.#store = store;
    this.#name = name;
    this.volume = volume;
  }

  /** A container of this image with an empty volume, as a daemon makes it: with the image's owner. */
  static async create(store: ImageStore, image: string): Promise<ServerContainer> {
    const name = await store.buildah("from", "--pull-never", image);
    const volume = join(store.folder, "volume");
    await mkdir(volume, { mode: 0o700 });
    const id = Number(await store.buildah("run", "--isolation", "chroot", name, "--", "id", "-u"));
    await chown(volume, id, id);
    return new ServerContainer(store, name, volume);
  }

  /** Runs its entry point, on any free ports. *Throws* Error with its log when it ends before it is ready. */
  async start(): Promise<Ready> {
    const ports = ["ROLLCALL_WEB_LISTEN=0.0.0.0:0", "ROLLCALL_AGENT_LISTEN=0.0.0.0:0"];
    const child = spawn("buildah", this.#command(ports, "node", "server/main.ts"), {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    child.stderr.on("data", (chunk: Buffer) => (this.#log += chunk.toString()));
    const ended = once(child, "exit").then(() => {
      throw new Error(`the server ended before it was ready:\n${this.#log}`);
    });
    const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended])) as unknown[];
    return JSON.parse(String(line)) as Ready;
  }

  get log(): string {
    return this.#log;
  }

  /** Runs a program of the container to its end. */
  async run(variables: readonly string[], ...program: readonly string[]) {
    return await runCommand("buildah", this.#command(variables, ...program));
  }

  /** The user that the server's process runs as. *Units*: the number. */
  async userId(): Promise<number> {
    const status = await readFile(`/proc/${await this.#serverProcess()}/status`, "utf8");
    return Number(/^Uid:\t(\d+)/m.exec(status)?.[1]);
  }

  /** Asks the server to stop, as a daemon does, and waits. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null) return;
    process.kill(await this.#serverProcess(), "SIGTERM");
    await once(child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #command(variables: readonly string[], ...program: readonly string[]): string[] {
    const given = variables.flatMap((variable) => ["--env", variable]);
    const options = ["--isolation", "chroot", "--volume", `${this.volume}:/var/lib/rollcall`, ...given];
    return this.#store.command("run", ...options, this.#name, "--", ...program);
  }

  /** The last of the processes that buildah started one out of the other. */
  async #serverProcess(): Promise<number> {
    let id = this.#process?.pid ?? 0;
    for (;;) {
      const command = await readFile(`/proc/${id}/cmdline`, "utf8");
      if (/^[^\0]*node\0server\/main\.ts\0$/.test(command)) return id;
      const child = await findChild(id);
      if (child === undefined) throw new Error(`the server is not among buildah's processes: ${command}`);
      id = child;
    }
  }
}

/** A process that any thread of this one started. */
async function findChild(id: number): Promise<number | undefined> {
  const threads = await readdir(`/proc/${id}/task`);
  const children = await Promise.all(threads.map((thread) => readFile(`/proc/${id}/task/${thread}/children`, "utf8")));
  const [first] = children.join(" ").trim().split(/\s+/);
  return first === undefined || first === "" ? undefined : Number(first);
}

/** The wire between hosts and server: a bridge on this machine, with an address range that no network uses. */
import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { promisify } from "node:util";
import { withMachineLock } from "../toolchain/machine-lock.mjs";
import { removeAbandonedHosts } from "./host-group.ts";

const run = promisify(execFile);

/** This process's own part of what RFC 2544 keeps for benchmarks of devices, so of no real network: 198.18.0.0/15. */
const PREFIX = `198.${18 + ((process.pid >> 8) & 1)}.${process.pid & 255}`;

/** A host's end of the wire. */
export interface HostLink {
  /** With the length of the prefix. */
  readonly address: string;
  /** Silently loses every packet from now on. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

/** One bridge, with the server's address on it. Interfaces of hosts vanish with their hosts. */
export class HostNetwork implements AsyncDisposable {
  /** Where hosts find the server. */
  readonly serverAddress = `${PREFIX}.1`;
  readonly #bridge: string;
  #hosts = 0;

  private constructor(bridge: string) {
    this.#bridge = bridge;
  }

  static async create(): Promise<HostNetwork> {
    // Two that do it at once would trip over each other.
    await withMachineLock("rollcall-abandoned-hosts", async () => {
      await removeAbandonedHosts();
      await removeBridgesOfDeadProcesses();
    });
    const network = new HostNetwork(`rcb${process.pid}`);
    await ip("link", "add", network.#bridge, "type", "bridge");
    try {
      await ip("address", "add", `${network.serverAddress}/24`, "dev", network.#bridge);
      await ip("link", "set", network.#bridge, "up");
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  /** Gives the network namespace of process `pid` an interface `eth0` on the bridge. */
  async attach(pid: number): Promise<HostLink> {
    this.#hosts += 1;
    const number = this.#hosts;
    const near = `rcv${process.pid}-${number}`;
    await ip("link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", String(pid));
    await ip("link", "set", near, "master", this.#bridge, "up");
    return {
      address: `${PREFIX}.${number + 1}/24`,
      cut: () => ip("link", "set", near, "down"),
      mend: () => ip("link", "set", near, "up"),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ip("link", "delete", this.#bridge);
  }
}

/** What a test that was killed left. */
async function removeBridgesOfDeadProcesses(): Promise<void> {
  const { stdout } = await run("ip", ["-o", "link", "show", "type", "bridge"]);
  for (const [, name = "", pid] of stdout.matchAll(/^\d+: (rcb(\d+)):/gm)) {
    if (!(await isAlive(pid))) await ip("link", "delete", name);
  }
}

async function isAlive(pid: string | undefined): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}

async function ip(...words: readonly string[]): Promise<void> {
  await run("ip", words);
}

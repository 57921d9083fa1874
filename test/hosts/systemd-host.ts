/**
 * A machine with a real systemd: systemd-nspawn over a layer of its own above the
 * shared Debian, in a network namespace of its own.
 *
 * All that it needs lives in namespaces of one process: when that ends, however it
 * ends, its mounts and its network are gone too. It ends with this process.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { run, type RunEnd } from "../faults/strace-plan.ts";
import { hostGroupName, listUnitProcesses, removeHostGroup } from "./host-group.ts";
import type { HostLink, HostNetwork } from "./host-network.ts";

/** What a host is made of. */
export interface SystemdHostOrder {
  readonly name: string;
  /** For this host's own layer. */
  readonly folder: string;
  /** The shared Debian. */
  readonly root: string;
  readonly network: HostNetwork;
  /** Folders of this machine that it may read, and where it sees them. */
  readonly shared?: Readonly<Record<string, string>>;
}

/**
 * Stops after "unshared" until it is told the address: its network is attached from outside meanwhile.
 *
 * *Source*: Linux, filesystems/overlayfs.rst, "Volatile mount": nothing is synced to the disk, which many hosts at once
 * would wait for, and a layer is mounted again only once the mark of that is deleted.
 */
const BOOT = `
set -eu
echo unshared
read -r address
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
rm -rf "$FOLDER/work/work/incompat"
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$FOLDER/upper,workdir=$FOLDER/work,volatile" "$FOLDER/merged"
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$GROUP"
echo $$ >"/sys/fs/cgroup/$GROUP/cgroup.procs"
exec systemd-nspawn --boot --quiet --register=no --keep-unit --network-namespace-path=/proc/self/ns/net \\
  --machine="$GROUP" --directory="$FOLDER/merged" --bind="$FOLDER/bell:/run/bell" \\
  "$@" --console=pipe --kill-signal=SIGRTMIN+4 --link-journal=no </dev/null
`;
/** Rings once the system can be asked whether it is up. */
const BELL = `[Unit]
After=basic.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo booted >/run/bell'
`;
const UNITS = "/etc/systemd/system";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** One host. Disposing it cuts its power and deletes its files. */
export class SystemdHost implements AsyncDisposable {
  readonly name: string;
  readonly #order: SystemdHostOrder;
  readonly #group: string;
  #machine: Machine | undefined;

  private constructor(order: SystemdHostOrder) {
    this.name = order.name;
    this.#order = order;
    this.#group = hostGroupName(order.name);
  }

  /** Makes its layer; nothing runs yet. */
  static async create(order: SystemdHostOrder): Promise<SystemdHost> {
    for (const name of ["upper", "work", "merged"]) await mkdir(join(order.folder, name), { recursive: true });
    const host = new SystemdHost(order);
    await mkdir(host.pathBeforeBoot(join(UNITS, "multi-user.target.wants")), { recursive: true });
    await writeFile(host.pathBeforeBoot("/etc/hostname"), `${order.name}\n`);
    await writeFile(host.pathBeforeBoot(join(UNITS, "bell.service")), BELL);
    await symlink("../bell.service", host.pathBeforeBoot(join(UNITS, "multi-user.target.wants", "bell.service")));
    await run("mkfifo", [join(order.folder, "bell")], { PATH });
    return host;
  }

  /** The shared Debian below its own layer. */
  get root(): string {
    return this.#order.root;
  }

  /** A file of this host's layer, for preparations. */
  pathBeforeBoot(path: string): string {
    return join(this.#order.folder, "upper", path);
  }

  /** A file as the running host sees it. */
  path(path: string): string {
    return join("/proc", String(this.#running.leader), "root", path);
  }

  /** What connects it with the server. */
  get link(): HostLink {
    return this.#running.link;
  }

  /** Switches it on, and resolves once systemd has started what it is to start. */
  async boot(): Promise<void> {
    if (this.#machine !== undefined) throw new Error(`${this.name} is running`);
    const { folder, root, network } = this.#order;
    const env = { PATH, LOWER: root, FOLDER: folder, GROUP: this.#group };
    // The kernel ends it with this process, and its own init with it.
    const words = [
      "--pdeathsig",
      "KILL",
      "unshare",
      "--mount",
      "--net",
      "--propagation",
      "private",
      "bash",
      "-c",
      BOOT,
    ];
    const shared = Object.entries(this.#order.shared ?? {}).map(([here, there]) => `--bind-ro=${here}:${there}`);
    const child = spawn("setpriv", [...words, "bash", ...shared], { env, stdio: ["pipe", "pipe", "pipe"] });
    const output = new HostOutput(child);
    await output.until("unshared");
    const { pid } = child;
    if (pid === undefined) throw new Error("the host's process has no id");
    const link = await network.attach(pid);
    child.stdin.end(`${link.address}\n`);
    await Promise.race([readFile(join(folder, "bell")), output.ended]);
    this.#machine = { child, link, leader: await findInit(pid) };
    const { stdout } = await this.exec("systemctl", "is-system-running", "--wait");
    if (stdout !== "running\n")
      throw new Error(`${this.name} is ${stdout}${await this.demand("systemctl", "--failed")}`);
  }

  /** Runs a program on it as root. */
  async exec(...words: readonly string[]): Promise<RunEnd> {
    return await this.execWith({}, ...words);
  }

  /** Runs a program with these variables. */
  async execWith(env: Readonly<Record<string, string>>, ...words: readonly string[]): Promise<RunEnd> {
    const enter = ["-t", String(this.#running.leader), "-m", "-p", "-n", "-u", "-i", "-C", "--"];
    return await run("nsenter", [...enter, ...words], { PATH, ...env });
  }

  /** Runs a program that must end with 0, and tells what it printed. */
  async demand(...words: readonly string[]): Promise<string> {
    const end = await this.exec(...words);
    if (end.status !== 0) throw new Error(`${words.join(" ")} on ${this.name}: ${end.stdout}${end.stderr}`);
    return end.stdout;
  }

  /** The processes of a unit of it, as this machine counts them. */
  processesOf(unit: string): Promise<readonly number[]> {
    return listUnitProcesses(this.#group, unit);
  }

  /** Cuts its power: nothing of it is asked to stop. It can be booted again. */
  async cutPower(): Promise<void> {
    const machine = this.#machine;
    if (machine === undefined) return;
    this.#machine = undefined;
    const ended = machine.child.exitCode === null && machine.child.signalCode === null && once(machine.child, "exit");
    machine.child.kill("SIGKILL");
    await ended;
    await removeHostGroup(this.#group);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower();
    await rm(this.#order.folder, { recursive: true });
  }

  get #running(): Machine {
    if (this.#machine === undefined) throw new Error(`${this.name} is not running`);
    return this.#machine;
  }
}

interface Machine {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly link: HostLink;
  /** The host's init, as this machine counts. */
  readonly leader: number;
}

/** What a host's process prints until its own init has taken over. */
class HostOutput {
  /** Rejects when it ends. */
  readonly ended: Promise<never>;
  readonly #lines: string[] = [];
  readonly #readers: readonly Interface[];

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#readers = [child.stdout, child.stderr].map((input) => createInterface({ input }));
    for (const reader of this.#readers) reader.on("line", (line) => this.#lines.push(line));
    this.ended = new Promise((_, reject) => {
      child.once("error", reject);
      child.once("close", () => reject(new Error(`the host's process ended:\n${this.#lines.slice(-20).join("\n")}`)));
    });
    this.ended.catch(() => undefined);
  }

  async until(expected: string): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      for (const reader of this.#readers) reader.on("line", (line) => void (line === expected && resolve()));
    });
    if (!this.#lines.includes(expected)) await Promise.race([seen, this.ended]);
  }
}

/** The child that counts itself as process 1. */
async function findInit(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  for (const child of children.split(" ").filter(Boolean)) {
    const status = await readFile(`/proc/${child}/status`, "utf8");
    if (/^NSpid:.*\s1$/m.test(status)) return Number(child);
  }
  throw new Error(`process ${pid} has no child that is the init of a host`);
}

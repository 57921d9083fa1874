/**
 * Images and containers of one test, in a folder, by buildah: no daemon, nothing of the
 * machine's own store. Programs of a container run in its root and with its user, but
 * share this machine's processes and network: what only a namespace gives is not tried.
 */
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ensureDebianRoot } from "../hosts/debian-root.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { runCommand } from "../toolchain/run-command.ts";
import { CONTAINER_PACKAGES, findMissingPackages, formatInstallLine } from "../toolchain/system-packages.ts";

const BASE = "localhost/node-stand-in";
/** Where the machine's own authorities are, and where the base has them. */
const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";
const AUTHORITIES_VARIABLE = "NODE_EXTRA_CA_CERTS";

/** *Shape*: `undefined` when images can be built here, else one line that says why not. */
export async function explainNoImages(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "building an image needs root here; run: sudo npm run test:container";
  const missing = findMissingPackages(CONTAINER_PACKAGES);
  if (missing.length > 0) return `${missing.join(", ")} missing; run: ${formatInstallLine(missing)}`;
  await using store = await ImageStore.create();
  try {
    await store.buildah("from", "scratch");
    return undefined;
  } catch (error) {
    return `this machine cannot build images: ${(error as Error).message.split("\n")[0]}`;
  }
}

export class ImageStore implements AsyncDisposable {
  readonly folder: string;
  readonly #options: readonly string[];

  private constructor(folder: string) {
    this.folder = folder;
    this.#options = [
      "--root",
      join(folder, "images"),
      "--runroot",
      join(folder, "run"),
      // Works on every file system, without mounts.
      "--storage-driver",
      "vfs",
    ];
  }

  static async create(): Promise<ImageStore> {
    return new ImageStore(await mkdtemp(join(tmpdir(), "rollcall-images-")));
  }

  /** What it prints. *Throws* Error with the end of its output. */
  async buildah(verb: string, ...words: readonly string[]): Promise<string> {
    const { succeeded, output, stdout } = await runCommand("buildah", this.command(verb, ...words));
    if (!succeeded) throw new Error(`buildah ${verb} failed:\n${output.split("\n").slice(-20).join("\n")}`);
    return stdout.trim();
  }

  /** The arguments of buildah that do so in this store. */
  command(verb: string, ...words: readonly string[]): string[] {
    return [...this.#options, verb, ...words];
  }

  /** Builds the server's image. *Shape*: its name. */
  async buildServer(version: string, signal: AbortSignal): Promise<string> {
    await this.#makeBase(signal);
    const name = "localhost/rollcall-server";
    const built = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--layers=false"];
    const given = ["--build-arg", `BASE=${BASE}`, "--build-arg", `VERSION=${version}`];
    await this.buildah("bud", ...built, ...given, "-f", "server/Dockerfile", "-t", name, repositoryRoot);
    return name;
  }

  /**
   * Stands in for the image that the Dockerfile names, which may be out of reach: the
   * same Debian, the same Node, this machine's npm.
   */
  async #makeBase(signal: AbortSignal): Promise<void> {
    const container = await this.buildah("from", "scratch");
    const root = await this.buildah("mount", container);
    // With owners and devices, which Node's own copy leaves out.
    const copied = await runCommand("cp", ["--archive", `${await ensureDebianRoot(signal)}/.`, root], signal);
    if (!copied.succeeded) throw new Error(`Debian could not be copied:\n${copied.output}`);
    await cp(join(repositoryRoot, "node_modules", "node", "bin", "node"), join(root, "usr/local/bin/node"));
    const { stdout: npm } = await runCommand("sh", ["-c", 'realpath "$(command -v npm)"']);
    await mkdir(join(root, "usr/local/lib/node_modules"), { recursive: true });
    await cp(dirname(dirname(npm.trim())), join(root, "usr/local/lib/node_modules/npm"), { recursive: true });
    await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/local/bin/npm"));
    const settings = ["--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
    if (process.env[AUTHORITIES_VARIABLE] !== undefined) {
      await mkdir(dirname(join(root, AUTHORITIES)), { recursive: true });
      await writeFile(join(root, AUTHORITIES), await readFile(process.env[AUTHORITIES_VARIABLE]));
      settings.push("--env", `${AUTHORITIES_VARIABLE}=${AUTHORITIES}`);
    }
    await this.buildah("config", ...settings, container);
    await this.buildah("commit", "--format", "docker", container, BASE);
    await this.buildah("rm", container);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.buildah("rm", "--all");
    await rm(this.folder, { recursive: true, force: true });
  }
}

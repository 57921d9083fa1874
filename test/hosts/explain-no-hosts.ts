import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../faults/strace-plan.ts";
import { explainNoDebianRoot } from "./debian-root.ts";

/** What hosts need, by the Debian package that has it. */
const PROGRAMS: Readonly<Record<string, string>> = {
  debootstrap: "debootstrap",
  "systemd-nspawn": "systemd-container",
  ip: "iproute2",
  strace: "strace",
  unshare: "util-linux",
};

/** What every host does first: mounts, a control group and a bridge of its own. */
const TRIAL = `
set -eu
ip link add rollcalltrial type bridge
mount -t overlay overlay -o "lowerdir=$FOLDER/lower,upperdir=$FOLDER/upper,workdir=$FOLDER/work,volatile" "$FOLDER/merged"
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
test -e /sys/fs/cgroup/cgroup.procs
`;

/** *Shape*: `undefined` when this machine can boot hosts, else one line that says why not. */
export async function explainNoHosts(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "hosts with a systemd of their own need root; run: sudo npm test";
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  const missing: string[] = [];
  for (const [program, name] of Object.entries(PROGRAMS))
    if ((await run("sh", ["-c", `command -v ${program}`], env)).status !== 0) missing.push(name);
  if (missing.length > 0)
    return `${missing.join(", ")} missing; run: sudo apt-get install --no-install-recommends ${missing.join(" ")}`;
  const folder = await mkdtemp(join(tmpdir(), "rollcall-hosts-trial-"));
  try {
    for (const name of ["lower", "upper", "work", "merged"]) await mkdir(join(folder, name));
    const words = ["--mount", "--net", "--propagation", "private", "sh", "-c", TRIAL];
    const { status, stderr } = await run("unshare", words, { ...env, FOLDER: folder });
    return status === 0 ? await explainNoDebianRoot() : `this machine cannot hold hosts: ${stderr.trim()}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}

import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock, systemRandom } from "../../server/clock-system.ts";
import { agentAddresses, readConfig } from "../../server/config.ts";
import { InstallOffer, type InstallOfferParts } from "../../server/install-offer.ts";
import { createAuthority, createKeyPem, issueLeaf } from "../../server/stream/certificate-authority.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";

const authority = createAuthority(createKeyPem(), systemClock.now(), systemRandom);
const leaf = issueLeaf(authority, ["rollcall.example.org"], systemClock.now(), systemRandom);
const ROOTS = TEST_PUBLISHER.roots.map(({ publicKey }) => publicKey.text);
const ORIGIN = "https://rollcall.example.org:7170";

let folder: string;
let rootKeysPath: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-offer-"));
  rootKeysPath = join(folder, "roots.pub");
  await writeFile(rootKeysPath, ROOTS.map((text) => `untrusted comment: root\n${text}\n`).join(""));
});
afterAll(() => rm(folder, { recursive: true }));

function makeOffer(changes: Partial<InstallOfferParts> = {}): InstallOffer {
  return new InstallOffer({
    agentFolder: join(repositoryRoot, "agent"),
    rootKeysPath,
    publicOrigin: undefined,
    ownOrigin: () => "https://this-machine:7170",
    isTls: true,
    certificate: () => ({ certPem: leaf.certPem, caPem: authority.certPem }),
    agentAddresses: (name) => [`${name}:7171`],
    ...changes,
  });
}

/** What a shell makes of the script's settings. */
async function readSettings(offer: InstallOffer, origin: string): Promise<Record<string, string>> {
  const { content } = await offer.script("install.sh", origin);
  const names = ["server_url", "server_pin", "agent_addresses", "root_keys", "ca_pem"];
  const script = Buffer.from(content)
    .toString()
    .replace(/\nmain "\$@"\n$/, "\n");
  const print = names.map((name) => `printf '%s\\0' "$${name}"`).join("\n");
  const { stdout, stderr } = spawnSync("sh", ["-s"], { input: `${script}\n${print}\n`, encoding: "utf8" });
  expect(stderr).toBe("");
  return Object.fromEntries(stdout.split("\0").map((value, index) => [names[index] ?? "end", value]));
}

describe("the line", () => {
  test("pins the key that the server shows, and gives the token by the environment", () => {
    const key = createPublicKey(new X509Certificate(leaf.certPem).publicKey.export({ type: "spki", format: "pem" }));
    const digest = createHash("sha256")
      .update(key.export({ type: "spki", format: "der" }))
      .digest("base64");
    expect(makeOffer().command(ORIGIN, "rc_enroll_x")).toBe(
      `curl -fsSk --pinnedpubkey 'sha256//${digest}' ${ORIGIN}/install/install.sh | ROLLCALL_TOKEN=rc_enroll_x sh`,
    );
  });

  test("that renews a host holds no token", () => {
    const offer = makeOffer();
    expect(offer.renewal("linux", ORIGIN)).toBe(offer.command(ORIGIN, "x").replace("ROLLCALL_TOKEN=x sh", "sh"));
    expect(offer.renewal("linux", ORIGIN)).toMatch(/ \| sh$/);
  });

  test("leaves it to the system's authorities whom to believe where another program speaks TLS", () => {
    expect(makeOffer({ isTls: false }).command(ORIGIN, "rc_enroll_x")).toBe(
      `curl -fsS ${ORIGIN}/install/install.sh | ROLLCALL_TOKEN=rc_enroll_x sh`,
    );
  });

  test("names the address that people were given, and never one that only this machine has", () => {
    const addressIn = (line: string): string => /https:\/\/\S+?(?=\/install\/)/.exec(line)?.[0] ?? line;
    const publicOrigin = "https://public.example.org";
    expect(addressIn(makeOffer({ publicOrigin }).command(ORIGIN, "t"))).toBe(publicOrigin);
    for (const local of [
      "https://127.0.0.1:7170",
      "https://localhost:7170",
      "https://[::1]:7170",
      "https://a.example:99999",
    ])
      expect(addressIn(makeOffer().command(local, "t"))).toBe("https://this-machine:7170");
  });
});

describe("the script", () => {
  test("comes with where it came from, its key, the agents' address, root keys and authority", async () => {
    expect(await readSettings(makeOffer(), ORIGIN)).toMatchObject({
      server_url: ORIGIN,
      server_pin: expect.stringMatching(/^sha256\/\/[A-Za-z0-9+/]{43}=$/) as string,
      agent_addresses: "rollcall.example.org:7171",
      root_keys: ROOTS.join(" "),
      ca_pem: authority.certPem.trim(),
    });
  });

  test("comes without pin and authority where those are not this server's", async () => {
    const offer = makeOffer({ isTls: false, certificate: () => ({ certPem: leaf.certPem, caPem: undefined }) });
    expect(await readSettings(offer, ORIGIN)).toMatchObject({ server_pin: "", ca_pem: "" });
  });

  test("is that of the sources otherwise", async () => {
    const { content } = await makeOffer().script("install.sh", ORIGIN);
    const source = await readFile(join(repositoryRoot, "agent", "install", "install.sh"), "utf8");
    expect(
      Buffer.from(content)
        .toString()
        .endsWith(source.slice(source.indexOf("\n") + 1)),
    ).toBe(true);
  });

  test("is withheld while it is not known whose releases to trust", async () => {
    await expect(makeOffer({ rootKeysPath: join(folder, "none") }).script("install.sh", ORIGIN)).rejects.toThrow(
      "root public keys",
    );
  });

  test("holds no setting that a shell would read as more than text", async () => {
    const offer = makeOffer({ agentAddresses: () => ["x'; reboot; '"] });
    await expect(offer.script("install.sh", ORIGIN)).rejects.toThrow("could misread");
  });
});

describe("on Windows", () => {
  const text = async (file: Promise<{ readonly content: Uint8Array } | undefined>): Promise<string> =>
    Buffer.from((await file)?.content ?? []).toString();

  test("the line pins the key, keeps the script where administrators alone write, and gives the token by the environment", () => {
    const [pin] = /sha256\/\/[A-Za-z0-9+/=]+/.exec(makeOffer().command(ORIGIN, "t")) ?? [];
    const script = '"%ProgramFiles%\\rollcall-install.cmd"';
    expect(makeOffer().windowsCommand(ORIGIN, "rc_enroll_x")).toBe(
      `"%SystemRoot%\\System32\\curl.exe" -fsSk --pinnedpubkey "${pin}" -o ${script} ${ORIGIN}/install/install.cmd` +
        ` && set "ROLLCALL_TOKEN=rc_enroll_x" && ${script}`,
    );
    expect(makeOffer({ isTls: false }).renewal("windows", ORIGIN)).toBe(
      `"%SystemRoot%\\System32\\curl.exe" -fsS -o ${script} ${ORIGIN}/install/install.cmd && ${script}`,
    );
  });

  test("the script comes with where it came from and its key, in lines that end as a batch file's", async () => {
    const script = await text(makeOffer().script("install.cmd", ORIGIN));
    const lines = script.split("\r\n");
    expect(lines[1]).toBe(`set "server_url=${ORIGIN}"`);
    expect(lines[2]).toMatch(/^set "server_pin=sha256\/\/[A-Za-z0-9+/]{43}="$/);
    expect(script.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    expect(lines.slice(3).join("\n")).toBe(
      (await readFile(join(repositoryRoot, "agent", "windows", "install.cmd"), "utf8"))
        .replaceAll("\r\n", "\n")
        .split("\n")
        .slice(1)
        .join("\n"),
    );
  });

  test("no line of a batch file is one that a broken folder name or a file's content could change", async () => {
    for (const name of ["install.cmd", "update.cmd"]) {
      const source = await readFile(join(repositoryRoot, "agent", "windows", name), "utf8");
      const code = source.split(/\r?\n/).filter((line) => !/^(?:@echo|rem|:)/i.test(line));
      for (const line of code) {
        // What names a place stands in quotes, and every program of Windows is named by its place.
        expect(line.replaceAll(/"[^"]*"/g, "")).not.toMatch(/%(?:TOOLS|PLACE|BINARY|CONFIG|STATE|WORK|~dp0)/);
        expect(line).not.toMatch(/(?:^|[&|(] *)(?:curl|icacls|schtasks|taskkill|findstr|ping|find|tasklist)\b/i);
      }
    }
  });

  test("an agent's configuration names its servers and the authority", async () => {
    expect(JSON.parse(await text(makeOffer().readFile("agent.json", ORIGIN)))).toEqual({
      servers: ["rollcall.example.org:7171"],
      ca_pem: authority.certPem,
    });
    const elsewhere = makeOffer({ certificate: () => ({ certPem: leaf.certPem, caPem: undefined }) });
    expect(JSON.parse(await text(elsewhere.readFile("agent.json", ORIGIN)))).toMatchObject({ ca: "system" });
  });
});

describe("agents reach the server", () => {
  const addresses = (environment: Record<string, string>, webHostname: string): readonly string[] =>
    agentAddresses(readConfig([], environment), 7171, webHostname, "machine");

  test("where the operator said", () => {
    expect(addresses({ ROLLCALL_AGENT_URLS: "a.example:1, b.example:2" }, "c.example")).toEqual([
      "a.example:1",
      "b.example:2",
    ]);
  });

  test("at the listener's own address, else by a name that its certificate holds", () => {
    const web = { ROLLCALL_WEB_LISTEN: "0.0.0.0:7170" };
    expect(addresses({ ...web, ROLLCALL_AGENT_LISTEN: "[fd00::1]:7171" }, "c.example")).toEqual(["[fd00::1]:7171"]);
    expect(addresses(web, "c.example")).toEqual(["machine:7171"]);
    expect(addresses({ ...web, ROLLCALL_PUBLIC_URL: "https://c.example" }, "c.example")).toEqual(["c.example:7171"]);
    expect(addresses(web, "localhost")).toEqual(["localhost:7171"]);
  });
});

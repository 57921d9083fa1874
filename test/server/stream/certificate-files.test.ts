import { execFileSync } from "node:child_process";
import { randomBytes, X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadCertificates, type Certificates } from "../../../server/stream/certificate-files.ts";
import { renewCertificates } from "../../../server/stream/certificate-renewal.ts";
import { ManualClock } from "./manual-clock.ts";
import { openResources } from "./open-resources.ts";
import { FakeLog } from "./test-listener.ts";

const DAY_MS = 86_400_000;
const folders: string[] = [];

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-tls-"));
  folders.push(folder);
  return folder;
}

const random = { bytes: (length: number): Uint8Array => randomBytes(length) };

function load(
  dataDir: string,
  clock: ManualClock,
  names: readonly string[] = ["localhost", "127.0.0.1"],
): Promise<Certificates> {
  return loadCertificates({ dataDir, names, clock, random });
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe("certificates", () => {
  test("are made at the first start, valid since yesterday, keys for the owner alone", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const { caPem, certPem, expiresAt } = await load(dataDir, clock, [
      "Agents.Example",
      "*.example.com",
      "10.0.0.1",
      "::1",
      "2001:db8::a:0:1",
    ]);
    const leaf = new X509Certificate(certPem);
    const authority = new X509Certificate(caPem ?? "");
    expect(authority.ca).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.checkIssued(authority) && leaf.verify(authority.publicKey)).toBe(true);
    expect(leaf.checkHost("agents.example")).toBe("agents.example");
    expect(leaf.checkHost("a.example.com")).toBe("*.example.com");
    for (const address of ["10.0.0.1", "::1", "2001:db8::a:0:1"]) expect(leaf.checkIP(address)).toBe(address);
    expect(leaf.checkHost("other.example")).toBeUndefined();
    expect(leaf.validFromDate.getTime()).toBe(clock.now().getTime() - DAY_MS);
    expect(expiresAt).toEqual(leaf.validToDate);
    expect(authority.validToDate.getUTCFullYear()).toBeGreaterThan(2050);
    const tls = join(dataDir, "tls");
    expect(modeOf(tls)).toBe(0o700);
    expect(modeOf(join(tls, "ca.key"))).toBe(0o600);
    expect(modeOf(join(tls, "server.pem"))).toBe(0o600);
    expect(readdirSync(tls).sort()).toEqual(["ca.crt", "ca.key", "server.pem"]);
  });

  test("satisfy openssl, which shares no code with what made them", async () => {
    const dataDir = emptyFolder();
    await load(dataDir, new ManualClock(), ["agents.example", "10.0.0.1"]);
    const tls = join(dataDir, "tls");
    const checks = [
      "-x509_strict",
      "-purpose",
      "sslserver",
      "-attime",
      "1767225600",
      "-verify_ip",
      "10.0.0.1",
      "-verify_hostname",
      "agents.example",
    ];
    const verdict = execFileSync(
      "openssl",
      ["verify", ...checks, "-CAfile", join(tls, "ca.crt"), join(tls, "server.pem")],
      { encoding: "utf8" },
    );
    expect(verdict).toContain(": OK");
  });

  test("stay the same from start to start", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const first = await load(dataDir, clock);
    clock.advance(300 * DAY_MS);
    expect(await load(dataDir, clock, ["127.0.0.1", "LOCALHOST", "localhost"])).toEqual(first);
  });

  test("of the leaf are reissued for other names, and the authority stays", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const first = await load(dataDir, clock);
    for (const names of [["localhost"], ["localhost", "127.0.0.2"], ["localhost", "127.0.0.1", "::1"]]) {
      const next = await load(dataDir, clock, names);
      expect(next.certPem).not.toBe(first.certPem);
      expect(next.caPem).toBe(first.caPem);
    }
  });

  test("of the leaf are reissued with less than 30 days left, not before", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const first = await load(dataDir, clock);
    clock.advance(335 * DAY_MS);
    expect((await load(dataDir, clock)).certPem).toBe(first.certPem);
    clock.advance(1_000);
    const next = await load(dataDir, clock);
    expect(next.certPem).not.toBe(first.certPem);
    expect(next.expiresAt.getTime()).toBe(clock.now().getTime() + 365 * DAY_MS);
  });

  test("of the leaf are reissued when torn, or of another authority", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const first = await load(dataDir, clock);
    const path = join(dataDir, "tls", "server.pem");
    const other = await load(emptyFolder(), clock);
    for (const found of ["", first.certPem, readFileSync(path, "utf8").slice(0, 900), other.certPem + other.keyPem]) {
      writeFileSync(path, found);
      const next = await load(dataDir, clock);
      expect(new X509Certificate(next.certPem).verify(new X509Certificate(first.caPem ?? "").publicKey)).toBe(true);
      expect(next.keyPem).toContain("PRIVATE KEY");
    }
  });

  test("of the authority are never replaced", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const { caPem } = await load(dataDir, clock);
    const keyPath = join(dataDir, "tls", "ca.key");
    const certPath = join(dataDir, "tls", "ca.crt");
    const keyPem = readFileSync(keyPath, "utf8");
    rmSync(keyPath);
    await expect(load(dataDir, clock)).rejects.toThrow(`${keyPath} is missing`);
    writeFileSync(keyPath, "torn");
    await expect(load(dataDir, clock)).rejects.toThrow(`${keyPath} holds no PEM private key`);
    writeFileSync(keyPath, (await load(emptyFolder(), clock)).keyPem);
    await expect(load(dataDir, clock)).rejects.toThrow(`${keyPath} is not the key of ${certPath}`);
    writeFileSync(keyPath, keyPem);
    writeFileSync(certPath, "torn");
    await expect(load(dataDir, clock)).rejects.toThrow(`${certPath} holds no PEM certificate`);
    writeFileSync(certPath, caPem ?? "");
    expect((await load(dataDir, clock)).caPem).toBe(caPem);
  });

  test("are finished by the next start when the first was cut short", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    await load(dataDir, clock);
    rmSync(join(dataDir, "tls", "ca.crt"));
    writeFileSync(join(dataDir, "tls", "ca.crt.tmp"), "left over");
    const { caPem, certPem } = await load(dataDir, clock);
    expect(new X509Certificate(certPem).verify(new X509Certificate(caPem ?? "").publicKey)).toBe(true);
    expect(existsSync(join(dataDir, "tls", "ca.crt.tmp"))).toBe(false);
  });

  test("refuse names that no certificate can have", async () => {
    const clock = new ManualClock();
    await expect(load(emptyFolder(), clock, [])).rejects.toThrow("at least one");
    for (const name of ["", "a b", "a,b", "-a", "a_b", "https://a", `${"a".repeat(254)}`]) {
      await expect(load(emptyFolder(), clock, ["localhost", name]), name).rejects.toThrow(
        `${JSON.stringify(name)} is neither`,
      );
    }
  });
});

describe("a given certificate", () => {
  test("is served as it is, and nothing is made", async () => {
    const source = emptyFolder();
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const { certPem, keyPem } = await load(source, clock);
    const given = { certPath: join(source, "cert.pem"), keyPath: join(source, "key.pem") };
    writeFileSync(given.certPath, certPem);
    writeFileSync(given.keyPath, keyPem);
    const loaded = await loadCertificates({ dataDir, names: [], given, clock, random });
    expect(loaded).toMatchObject({ certPem, keyPem, caPem: undefined });
    expect(readdirSync(dataDir)).toEqual([]);
    writeFileSync(given.keyPath, (await load(emptyFolder(), clock)).keyPem);
    await expect(loadCertificates({ dataDir, names: [], given, clock, random })).rejects.toThrow("is not the key of");
    writeFileSync(given.keyPath, keyPem);
    clock.advance(366 * DAY_MS);
    await expect(loadCertificates({ dataDir, names: [], given, clock, random })).rejects.toThrow(
      "expired at 2027-01-01T00:00:00.000Z",
    );
  });
});

describe("renewal", () => {
  test("hands over a reissued certificate, reports failures and goes on", async () => {
    const dataDir = emptyFolder();
    const clock = new ManualClock();
    const log = new FakeLog();
    const first = await load(dataDir, clock);
    const { promise: serving, resolve: serve } = Promise.withResolvers<string>();
    const options = { dataDir, names: ["localhost", "127.0.0.1"], clock, random };
    const renewal = renewCertificates(options, first, log, ({ certPem }) => serve(certPem));
    await clock.scheduled(12 * 3_600_000);
    clock.advance(340 * DAY_MS);
    expect(await serving).not.toBe(first.certPem);
    await clock.scheduled(12 * 3_600_000);
    writeFileSync(join(dataDir, "tls", "ca.key"), "torn");
    clock.advance(DAY_MS);
    await clock.scheduled(12 * 3_600_000);
    expect(log.entries).toHaveLength(1);
    renewal[Symbol.dispose]();
    expect(clock.size).toBe(0);
  });
});

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
  expect(openResources()).toEqual([]);
});

describe("the change to another authority", () => {
  const step = (dataDir: string, rollover?: "announce" | "switch"): Promise<Certificates> =>
    loadCertificates({ dataDir, names: ["localhost"], clock: new ManualClock(), random, rollover });

  test("tells of the next one, then lets it sign, and ends when it takes the old one's place", async () => {
    const dataDir = emptyFolder();
    const [old = ""] = (await step(dataDir)).authorities;
    const announced = await step(dataDir, "announce");
    const [, next = ""] = announced.authorities;
    expect(announced.authorities).toEqual([old, next]);
    expect(announced.caPem).toBe(old + next);
    expect(next).not.toBe(old);
    const isIssuedBy = ({ certPem }: Certificates, authority: string): boolean =>
      new X509Certificate(certPem).verify(new X509Certificate(authority).publicKey);
    expect([isIssuedBy(announced, old), isIssuedBy(announced, next)]).toEqual([true, false]);
    const switched = await step(dataDir, "switch");
    expect(switched.authorities).toEqual([next, old]);
    expect([isIssuedBy(switched, old), isIssuedBy(switched, next)]).toEqual([false, true]);
    expect(modeOf(join(dataDir, "tls", "next-ca.key"))).toBe(0o600);
    for (const ending of ["key", "crt"])
      renameSync(join(dataDir, "tls", `next-ca.${ending}`), join(dataDir, "tls", `ca.${ending}`));
    const ended = await step(dataDir);
    expect(ended).toMatchObject({ authorities: [next], certPem: switched.certPem });
  });
});

import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterEach, expect, test } from "vitest";
import { sendMail } from "../../../server/notify/mail.ts";
import { parseAllowedDestinations } from "../../../server/notify/outgoing-policy.ts";
import type { Message } from "../../../server/notify/ports.ts";
import { Mailbox } from "../../support/mailbox.ts";
import { realClock } from "../../support/real-clock.ts";

const MESSAGE: Message = {
  id: "c.7",
  severity: "critical",
  title: "Fleet update halted at edge-1: new agent crashed",
  lines: ["No further host is updated until somebody looks and starts it again."],
  link: "https://rollcall.example.org/alerts",
  facts: {},
};
const parts = {
  allowed: parseAllowedDestinations(["127.0.0.1"]),
  lookup: async () => ({ address: "127.0.0.1", family: 4 }),
  clock: realClock,
  mailTimeoutMs: 5_000,
};

let server: SMTPServer | undefined;
const mails = new Mailbox<{ readonly text: string; readonly to: readonly string[]; readonly user: string }>();
afterEach(async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (server === undefined) resolve();
  else server.close(() => resolve());
  await promise;
});

async function listen(options: SMTPServerOptions): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server = new SMTPServer({
    ...options,
    onAuth: ({ username, password }, _session, done) =>
      password === "right" ? done(null, { user: username ?? "" }) : done(new Error("no, and here is why: hunter2")),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const to = session.envelope.rcptTo.map(({ address }) => address);
        mails.put({ text: Buffer.concat(chunks).toString(), to, user: String(session.user ?? "") });
        done();
      });
    },
  });
  server.on("error", () => undefined);
  server.listen(0, "127.0.0.1", () => resolve());
  await promise;
  return `127.0.0.1:${(server.server.address() as AddressInfo).port}`;
}

const target = (address: string, username = "") =>
  ({
    kind: "mail",
    server: `smtp://${address}`,
    username,
    from: "rollcall@example.org",
    to: ["a@example.org", "b@example.org"],
  }) as const;

test("a mail reaches everybody with title, advice and link, signed in where the server asks", async () => {
  const address = await listen({ disabledCommands: ["STARTTLS"], allowInsecureAuth: true });
  await sendMail(parts, target(address, "rollcall"), "right", MESSAGE);
  const { text, to, user } = await mails.take();
  expect(to).toEqual(["a@example.org", "b@example.org"]);
  expect(user).toBe("rollcall");
  expect(text).toContain(`Subject: ${MESSAGE.title}`);
  expect(text.replaceAll("=\r\n", "")).toContain("starts it again.");
  expect(text).toContain("https://rollcall.example.org/alerts");
});

test("a wrong password is told without the server's words", async () => {
  const address = await listen({ disabledCommands: ["STARTTLS"], allowInsecureAuth: true });
  await expect(sendMail(parts, target(address, "rollcall"), "wrong", MESSAGE)).rejects.toThrow(
    /refused the user name or password \(EAUTH 535\)\.$/,
  );
});

test("a server without TLS gets nothing unless the operator listed it", async () => {
  const address = await listen({ disabledCommands: ["STARTTLS"], authOptional: true });
  // A public address that leads to this machine: the list is what decides, not where it is.
  const unlisted = { ...parts, allowed: { names: new Set<string>(), networks: [] } };
  await expect(sendMail(unlisted, target(address), "", MESSAGE)).rejects.toThrow("not a public address");
});

test("a server that says nothing is left after its time", async () => {
  const address = await listen({ disabledCommands: ["STARTTLS"], onConnect: () => undefined });
  await expect(sendMail({ ...parts, mailTimeoutMs: 300 }, target(address), "", MESSAGE)).rejects.toThrow(
    /took longer than 0\.3 s|did not take the message/,
  );
});

import { randomUUID } from "node:crypto";
import { createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { NotificationService, Severity } from "../../../gen/rollcall/v1/notification_pb.js";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { InvalidFieldSchema, JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import type { HostId } from "../../../server/domain/ids.ts";
import { raiseAlert, resolveAlerts } from "../../../server/store/alerts.ts";
import { OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf, refusalOf } from "../../support/refusal-of.ts";
import { validHello } from "../../support/scripted-agent.ts";
import { Receiver } from "./receiver.ts";

const PUBLIC_URL = "https://rollcall.example.org";
const RETRY_MS = 200;

let plane: ControlPlane;
let receiver: Receiver;
let notifications: Client<typeof NotificationService>;
beforeEach(async () => {
  receiver = await Receiver.start();
  plane = await startControlPlane(
    { notificationIntervalMs: 50, notificationPauseMs: 100, notificationRetryMs: RETRY_MS },
    undefined,
    { ROLLCALL_NOTIFY_ALLOW: "127.0.0.1", ROLLCALL_PUBLIC_URL: PUBLIC_URL },
  );
  notifications = createClient(
    NotificationService,
    createConnectTransport({
      baseUrl: plane.web,
      httpVersion: "1.1",
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", `Bearer ${plane.adminToken}`);
          return next(request);
        },
      ],
    }),
  );
});
afterEach(async () => {
  await plane[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

async function addWebhook(name: string, minimumSeverity = Severity.INFO, url = `${receiver.origin}/${name}`) {
  const { channel, madeSecret } = await notifications.createNotificationChannel({
    name,
    minimumSeverity,
    target: { target: { case: "webhook", value: { url } } },
  });
  return { channelId: channel?.id ?? "", secret: madeSecret };
}

async function addHost(hostname: string): Promise<HostId> {
  return (await plane.enrollAgent(hostname)).hostId as HostId;
}

const db = () => plane.database.db;

function raise(kind: "update_failed" | "fleet_update_halted" | "host_offline", hostId: HostId | null, reason: string) {
  return db()
    .transaction()
    .execute((tx) => raiseAlert(tx, { kind, hostId, reason }));
}

function readFacts(body: string): { readonly more: number; readonly alerts: readonly object[] } {
  return JSON.parse(body) as { readonly more: number; readonly alerts: readonly object[] };
}

async function findChannel(name: string) {
  const { channels } = await notifications.listNotificationChannels({});
  return channels.find((channel) => channel.name === name);
}

describe("a webhook", () => {
  test("is told of an alert once, signed so that the standard's own library believes it", async () => {
    const { secret } = await addWebhook("hook");
    const hostId = await addHost("edge-1");
    const alertId = await raise("update_failed", hostId, "preflight_no_space");
    await raise("update_failed", hostId, "preflight_no_space");
    const { headers, body } = await receiver.posts.take();
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toMatchObject({
      type: "alerts",
      more: 0,
      alerts: [
        {
          event: "raised",
          id: alertId,
          kind: "update_failed",
          severity: "warning",
          title: "edge-1 update failed: not enough disk space",
          reason: "preflight_no_space",
          hostId,
          hostname: "edge-1",
          link: `${PUBLIC_URL}/hosts/${hostId}`,
        },
      ],
    });
    expect(() => new Webhook(secret).verify(`${body} `, headers as Record<string, string>)).toThrow("signature");
    await vi.waitFor(async () => expect((await findChannel("hook"))?.lastDeliveredAt).toBeDefined());
    expect(await findChannel("hook")).toMatchObject({ waiting: 0, failure: "" });
    expect(receiver.count).toBe(1);
  });

  test("hears of what resolved only if it wants to hear of everything", async () => {
    await addWebhook("all", Severity.INFO);
    await addWebhook("warnings", Severity.WARNING);
    const hostId = await addHost("edge-1");
    await raise("host_offline", hostId, "no session");
    const raised = [await receiver.posts.take(), await receiver.posts.take()];
    expect(raised.map(({ path }) => path).toSorted()).toEqual(["/all", "/warnings"]);
    await db()
      .transaction()
      .execute((tx) => resolveAlerts(tx, [{ hostId, kinds: ["host_offline"] }]));
    const { path, body } = await receiver.posts.take();
    expect(path).toBe("/all");
    expect(readFacts(body).alerts).toMatchObject([{ event: "resolved", title: "Resolved: edge-1 is offline" }]);
    expect((await findChannel("warnings"))?.waiting).toBe(0);
  });

  test("is told of a thousand alerts by one message", async () => {
    const { channelId } = await addWebhook("hook");
    await db()
      .transaction()
      .execute(async (tx) => {
        await tx
          .updateTable("notification_channels")
          .set({ next_attempt_at: new Date(Date.now() + 60_000) })
          .execute();
        for (let index = 0; index < 150; index += 1) {
          const hostId = randomUUID() as HostId;
          await tx
            .insertInto("hosts")
            .values({ id: hostId, hostname: `host-${index}`, os: "linux", arch: "x64", packages: "[]" })
            .execute();
          await raiseAlert(tx, { kind: "host_offline", hostId, reason: "no session" });
        }
        await raiseAlert(tx, { kind: "fleet_update_halted", hostId: null, reason: "host_offline" });
      });
    const target = { target: { case: "webhook", value: { url: `${receiver.origin}/hook` } } } as const;
    await notifications.changeNotificationChannel({ channelId, minimumSeverity: Severity.INFO, target });
    const { body } = await receiver.posts.take();
    const facts = readFacts(body);
    expect(facts).toMatchObject({ more: 51 });
    expect(facts.alerts).toHaveLength(100);
    expect(facts.alerts[0]).toMatchObject({ kind: "fleet_update_halted", severity: "critical" });
    await vi.waitFor(async () => expect((await findChannel("hook"))?.waiting).toBe(0));
    expect(receiver.count).toBe(1);
  });
});

describe("a channel that fails", () => {
  test("is tried again until it answers, shows why without the answer's body, and loses nothing", async () => {
    receiver.answer = (response) => response.writeHead(500).end("the database password is hunter2");
    await addWebhook("hook");
    const [first, second] = [await addHost("edge-1"), await addHost("edge-2")];
    await raise("host_offline", first, "no session");
    await receiver.posts.take();
    await raise("host_offline", second, "no session");
    await receiver.posts.take();
    await vi.waitFor(async () => expect((await findChannel("hook"))?.failingSince).toBeDefined());
    const failing = await findChannel("hook");
    expect(failing?.waiting).toBe(2);
    expect(failing?.failure).toMatch(/^127\.0\.0\.1:\d+ answered 500\.$/);
    expect(plane.log.join("\n")).not.toContain("hunter2");
    receiver.answer = (response) => response.end();
    for (;;) {
      const { alerts } = readFacts((await receiver.posts.take()).body);
      if (alerts.length === 2) break;
    }
    await vi.waitFor(async () => expect(await findChannel("hook")).toMatchObject({ waiting: 0, failure: "" }));
  });

  test("that hangs keeps no other channel waiting, and no update either", async () => {
    receiver.answer = (response, { path }) => void (path === "/good" && response.end());
    await addWebhook("hanging");
    await addWebhook("good");
    const hostId = await addHost("edge-1");
    await raise("host_offline", hostId, "no session");
    await vi.waitFor(async () => expect((await findChannel("good"))?.lastDeliveredAt).toBeDefined());
    expect((await findChannel("hanging"))?.lastDeliveredAt).toBeUndefined();
    await vi.waitFor(
      async () => expect((await findChannel("hanging"))?.failure).toMatch(/gave no answer within 5 s\.$/),
      { timeout: 15_000, interval: 200 },
    );
  });

  test("is not led elsewhere by a redirect", async () => {
    const elsewhere = await Receiver.start();
    receiver.answer = (response) => response.writeHead(307, { location: `${elsewhere.origin}/latest/meta-data` }).end();
    const { channelId } = await addWebhook("hook");
    const { failure } = await notifications.testNotificationChannel({ channelId });
    expect(failure).toMatch(/answered with a redirect \(307\), and redirects are not followed\.$/);
    expect(elsewhere.count).toBe(0);
    await elsewhere[Symbol.asyncDispose]();
  });

  test("whose answer never ends is delivered and left", async () => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    receiver.answer = (response) => {
      response.on("close", () => resolve());
      const more = (): void => {
        while (response.write(Buffer.alloc(65_536)));
        response.once("drain", more);
      };
      more();
    };
    const { channelId } = await addWebhook("hook");
    expect(await notifications.testNotificationChannel({ channelId })).toMatchObject({ failure: "" });
    await left;
  });

  test("for a day is given up, and says how much", async () => {
    receiver.answer = (response) => response.writeHead(500).end();
    await addWebhook("hook");
    await raise("host_offline", await addHost("edge-1"), "no session");
    await receiver.posts.take();
    await db()
      .updateTable("notifications")
      .set({ created_at: new Date(Date.now() - 25 * 3_600_000) })
      .execute();
    await vi.waitFor(async () => expect(await findChannel("hook")).toMatchObject({ waiting: 0, dropped: 1 }));
  });
});

test("ntfy rings a phone for a halted fleet update, with host, reason and link", async () => {
  await notifications.createNotificationChannel({
    name: "phone",
    minimumSeverity: Severity.CRITICAL,
    target: { target: { case: "ntfy", value: { url: `${receiver.origin}/ops-phone` } } },
    secret: "tk_secret",
  });
  const agent = await plane.enrollAgent("edge-1");
  const { stream } = await agent.hello(
    validHello({ hostname: "edge-1", agentVersion: OLD_VERSION, instanceId: randomUUID() }),
  );
  const { fleetUpdate } = await plane.fleet.startFleetUpdate({});
  for (;;) {
    const { message } = await stream.next();
    if (message.case !== "commandUpdate") continue;
    const { jobId } = message.value;
    stream.sendProgress({ jobId, phase: UpdatePhase.FAILED, reason: JobReason.PREFLIGHT_NO_SPACE });
    break;
  }
  const { path, headers, body } = await receiver.posts.take();
  expect(path).toBe("/");
  expect(headers.authorization).toBe("Bearer tk_secret");
  expect(JSON.parse(body)).toMatchObject({
    topic: "ops-phone",
    title: "Fleet update halted at edge-1: not enough disk space",
    message: "No further host is updated until somebody looks and starts it again.",
    priority: 5,
    click: `${PUBLIC_URL}/settings/fleet-update/${fleetUpdate?.id}`,
  });
});

describe("a channel is refused", () => {
  const invalid = async (
    target: Parameters<typeof notifications.createNotificationChannel>[0]["target"],
    secret = "",
  ): Promise<string | undefined> =>
    (
      await failureOf(
        notifications.createNotificationChannel({
          name: randomUUID(),
          minimumSeverity: Severity.INFO,
          target: target ?? {},
          secret,
        }),
      )
    ).findDetails(InvalidFieldSchema)[0]?.field;

  test("when its URL, secret or addresses can't be what they should be", async () => {
    const webhook = (url: string) => ({ target: { case: "webhook", value: { url } } }) as const;
    const mail = (server: string, from: string, to: string[], username = "") =>
      ({ target: { case: "mail", value: { server, from, to, username } } }) as const;
    expect(await invalid({})).toBe("target");
    expect(await invalid(webhook("ftp://example.org/"))).toBe("target.webhook.url");
    expect(await invalid(webhook("https://user:pass@example.org/"))).toBe("target.webhook.url");
    expect(await invalid(webhook("https://example.org/"), "short")).toBe("secret");
    expect(await invalid({ target: { case: "ntfy", value: { url: "https://example.org/" } } })).toBe("target.ntfy.url");
    expect(await invalid(mail("smtps://mail.example.org", "nobody", ["a@example.org"]))).toBe("target.mail.from");
    expect(await invalid(mail("smtps://mail.example.org", "a@example.org", ["b@example.org", "c"]))).toBe(
      "target.mail.to[1]",
    );
    expect(await invalid(mail("smtps://mail.example.org", "a@example.org", ["b@example.org"], "me"))).toBe("secret");
    expect(await invalid(mail("https://mail.example.org", "a@example.org", ["b@example.org"]))).toBe(
      "target.mail.server",
    );
  });

  test("when its name is taken, and an unknown one when it is changed, tested or removed", async () => {
    await addWebhook("hook");
    expect(await refusalOf(addWebhook("hook"))).toMatchObject({ details: { name: "hook" } });
    const channelId = randomUUID();
    const target = { target: { case: "webhook", value: { url: "https://example.org/" } } } as const;
    for (const call of [
      () => notifications.changeNotificationChannel({ channelId, minimumSeverity: Severity.INFO, target }),
      () => notifications.testNotificationChannel({ channelId }),
      () => notifications.removeNotificationChannel({ channelId }),
    ])
      expect(await refusalOf(call())).toMatchObject({ details: { channel_id: channelId } });
  });
});

test("a secret is told once and stands in no answer, log line or audit event", async () => {
  const { channelId, secret } = await addWebhook("hook");
  expect(secret).toMatch(/^whsec_/);
  const answers = JSON.stringify(
    [
      await notifications.listNotificationChannels({}),
      (await plane.fleet.listAuditEvents({})).events.map(({ action, details }) => [action, details]),
      plane.log,
    ],
    (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value),
  );
  expect(answers).toContain("notification_channel.created");
  expect(answers).not.toContain(secret.slice("whsec_".length));
  await raise("host_offline", await addHost("edge-1"), "no session");
  await receiver.posts.take();
  await notifications.removeNotificationChannel({ channelId });
  expect((await notifications.listNotificationChannels({})).channels).toEqual([]);
});

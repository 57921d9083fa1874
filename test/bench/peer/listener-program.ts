/**
 * The server's own listener with nothing behind it: authentication, sessions and
 * mailboxes are the real ones, and no database is asked. Usage: FILE.pem CREDENTIAL.key
 */
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { systemClock, systemRandom } from "../../../server/clock-system.ts";
import { BlockStore } from "../../../server/delivery/block-store.ts";
import { RefusedError } from "../../../server/domain/errors.ts";
import type { HostId, SessionEpoch } from "../../../server/domain/ids.ts";
import { readCredential } from "../../../server/identity/host-credential.ts";
import { DeliveryTurns } from "../../../server/stream/delivery-turns.ts";
import { listenForAgents } from "../../../server/stream/listener.ts";
import type { AgentSession } from "../../../server/stream/ports.ts";
import { HostMailboxes } from "../../../server/watcher/host-mailboxes.ts";
import { peerCommand, peerWelcome } from "./peer-agents.ts";
import { servePeer } from "./serve-peer.ts";

const [pemPath = "", keyPath = ""] = process.argv.slice(2);
const pem = await readFile(pemPath, "utf8");
const key = Buffer.from((await readFile(keyPath, "utf8")).trim(), "hex");
const mailboxes = new HostMailboxes();
const hostIds = new Map<HostId, AgentSession>();
let lastEpoch = 0n;

const refuse = (): never => {
  throw new RefusedError("credential_invalid", "nothing stands behind this listener");
};
const listener = await listenForAgents({
  host: "127.0.0.1",
  port: 0,
  certificate: { certPem: pem, keyPem: pem },
  credentials: { verify: async (bearer) => readCredential(key, bearer) ?? refuse() },
  enrollment: { enroll: async () => refuse() },
  handler: {
    hasOpenJob: () => false,
    opened: async (_hello, session) => {
      lastEpoch += 1n;
      const epoch = lastEpoch as SessionEpoch;
      mailboxes.beginOpening(session);
      hostIds.set(session.hostId, session);
      return {
        epoch,
        messages: [peerWelcome(epoch)],
        afterMessages: async () => mailboxes.completeOpening(session, epoch),
      };
    },
    progressed: async () => undefined,
    closed: async (session) => {
      mailboxes.remove(session);
      if (hostIds.get(session.hostId) === session) hostIds.delete(session.hostId);
    },
  },
  deliveries: { find: async () => refuse() },
  blocks: new BlockStore({ folder: tmpdir(), log: () => undefined }),
  turns: new DeliveryTurns({ maxConcurrent: 1, bytesPerSecond: 0 }, systemClock),
  accounts: { addDelivered: async () => undefined },
  clock: systemClock,
  random: systemRandom,
  log: {
    refused: () => undefined,
    unexpected: (where, error) => process.stderr.write(`${where}: ${String(error)}\n`),
  },
});

servePeer(listener.address.port, {
  count: () => mailboxes.size,
  push: () => {
    for (const [index, hostId] of [...hostIds.keys()].entries()) mailboxes.send(hostId, peerCommand(index));
  },
  roll: () => Promise.reject(new Error("this peer rolls nothing")),
});

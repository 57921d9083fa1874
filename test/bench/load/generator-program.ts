/** A process full of simulated agents, which does what its parent orders (orders.ts). */
import { systemClock } from "../../../agent/clock-system.ts";
import { FewAtATime } from "../../support/few-at-a-time.ts";
import { BACKOFF_LIMITS } from "../../../agent/stream/backoff.ts";
import type { AnswerMessage, OrderMessage, Orders } from "./orders.ts";
import { RoundRobin } from "./round-robin.ts";
import { SimulatedAgent, type AgentSurroundings } from "./simulated-agent.ts";
import { Tally } from "./tally.ts";

type Duties = {
  readonly [K in keyof Orders]: (ask: Orders[K]["ask"]) => Orders[K]["answer"] | Promise<Orders[K]["answer"]>;
};

const tally = new Tally();
let around: AgentSurroundings | undefined;
let agents: readonly SimulatedAgent[] = [];
const beating = new RoundRobin(systemClock);
const churning = new RoundRobin(systemClock);

const duties: Duties = {
  gather: ({ target, agentVersion, hosts }) => {
    const surroundings: AgentSurroundings = { target, tally, obedience: { kind: "note" } };
    around = surroundings;
    agents = hosts.map((host) => new SimulatedAgent(host, agentVersion, surroundings));
    return null;
  },
  connect: async (plan) => {
    const turns = plan.atATime === undefined ? undefined : new FewAtATime(plan.atATime);
    const coming = agents.slice(0, plan.upTo).filter(({ epoch }) => epoch === undefined);
    await Promise.all(coming.map((agent) => agent.comeUp(plan, turns)));
    return { welcomed: agents.filter(({ epoch }) => epoch !== undefined).length, failures: tally.takeFailures() };
  },
  drop: () => {
    for (const agent of agents) agent.drop();
    return null;
  },
  beat: ({ intervalMs }) => {
    beating.start(agents, intervalMs, (agent) => agent.beat());
    return null;
  },
  churn: ({ percentAMinute }) => {
    churning.start(agents, percentAMinute === 0 ? 0 : (60_000 * 100) / percentAMinute, (agent) => {
      // Who is restarting comes back by itself.
      if (agent.epoch === undefined) return;
      agent.reinstall();
      void agent.comeUp({ spreadMs: BACKOFF_LIMITS.firstMs });
    });
    return null;
  },
  obey: (obedience) => {
    if (around !== undefined) around.obedience = obedience;
    return null;
  },
  sessions: () =>
    agents.flatMap(({ host, epoch }) => (epoch === undefined ? [] : [{ hostId: host.hostId, epoch: String(epoch) }])),
  sightings: () => tally.takeSightings(),
};

process.on("message", (order: OrderMessage) => {
  const duty = duties[order.kind] as (ask: unknown) => unknown;
  Promise.resolve()
    .then(() => duty(order.ask))
    .then((answer): AnswerMessage => ({ answer }))
    .catch((error: unknown): AnswerMessage => ({ failure: String(error) }))
    .then((message) => process.send?.(message))
    // The parent is gone: so is this process.
    .catch(() => process.exit(1));
});
process.on("disconnect", () => process.exit(0));

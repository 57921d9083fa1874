/** The processes that load is made in. Each has its share of the agents; an order goes to all. */
import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { endChild, nextMessage } from "../child-answer.ts";
import type {
  AnswerMessage,
  ArrivalPlan,
  Arrivals,
  HeldSession,
  LoadTarget,
  OrderMessage,
  Orders,
  Sightings,
  SimulatedHost,
} from "./orders.ts";

/** As many processes as the machines that this is measured on have cores. */
const PROCESSES = 2;
/** Attempts at a time where agents come in order: enough to keep a server busy, few enough that none is in vain on a slow machine. */
export const AT_A_TIME = 32;
/** As the server asks for it. *Units*: milliseconds. */
export const HEARTBEAT_MS = 15_000;
/** What was put off until after the last Welcome is part of its cost. *Units*: milliseconds. */
export const SETTLE_MS = 2_000;

const PROGRAM = join(import.meta.dirname, "generator-program.ts");

export class Generators implements AsyncDisposable {
  readonly #children: readonly ChildProcess[];
  readonly #signal: AbortSignal;

  /** Every order fails once `signal` is aborted. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#children = Array.from({ length: PROCESSES }, () =>
      fork(PROGRAM, { stdio: ["ignore", "inherit", "inherit", "ipc"] }),
    );
  }

  /** Shares the agents out among the processes. */
  async gather(target: LoadTarget, agentVersion: string, hosts: readonly SimulatedHost[]): Promise<void> {
    await Promise.all(
      this.#children.map((child, lane) =>
        ask(
          child,
          {
            kind: "gather",
            ask: { target, agentVersion, hosts: hosts.filter((_, index) => index % this.#children.length === lane) },
          },
          this.#signal,
        ),
      ),
    );
  }

  /** They connect, as the plan says for all processes together. */
  async connect({ atATime, spreadMs, upTo }: ArrivalPlan): Promise<Arrivals> {
    const share = (count: number): number => Math.ceil(count / this.#children.length);
    const arrivals = await this.#askAll<"connect">({
      kind: "connect",
      ask: {
        spreadMs,
        ...(atATime === undefined ? {} : { atATime: share(atATime) }),
        ...(upTo === undefined ? {} : { upTo: share(upTo) }),
      },
    });
    return {
      welcomed: arrivals.reduce((sum, { welcomed }) => sum + welcomed, 0),
      failures: addUp(arrivals.map(({ failures }) => failures)),
    };
  }

  async drop(): Promise<void> {
    await this.#askAll<"drop">({ kind: "drop", ask: null });
  }

  async beat(intervalMs: number): Promise<void> {
    await this.#askAll<"beat">({ kind: "beat", ask: { intervalMs } });
  }

  async churn(percentAMinute: number): Promise<void> {
    await this.#askAll<"churn">({ kind: "churn", ask: { percentAMinute } });
  }

  async obey(obedience: Orders["obey"]["ask"]): Promise<void> {
    await this.#askAll<"obey">({ kind: "obey", ask: obedience });
  }

  async sessions(): Promise<readonly HeldSession[]> {
    return (await this.#askAll<"sessions">({ kind: "sessions", ask: null })).flat();
  }

  async sightings(): Promise<Sightings> {
    const all = await this.#askAll<"sightings">({ kind: "sightings", ask: null });
    return {
      commandsAtMs: all.flatMap(({ commandsAtMs }) => commandsAtMs),
      losses: addUp(all.map(({ losses }) => losses)),
      updates: all.reduce((sum, { updates }) => sum + updates, 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map(endChild));
  }

  async #askAll<K extends keyof Orders>(
    order: OrderMessage & { readonly kind: K },
  ): Promise<readonly Orders[K]["answer"][]> {
    return (await Promise.all(this.#children.map((child) => ask(child, order, this.#signal)))) as Orders[K]["answer"][];
  }
}

async function ask(child: ChildProcess, order: OrderMessage, signal: AbortSignal): Promise<unknown> {
  const answered = nextMessage<AnswerMessage>(child, "a generator of load", signal);
  child.send(order);
  const answer = await answered;
  if ("failure" in answer) throw new Error(answer.failure);
  return answer.answer;
}

function addUp(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const counts of all)
    for (const [cause, count] of Object.entries(counts)) sums[cause] = (sums[cause] ?? 0) + count;
  return sums;
}

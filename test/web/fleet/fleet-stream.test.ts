import { Code, ConnectError, createRouterTransport, createClient } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { FleetService, type WatchFleetResponse } from "../../../gen/rollcall/v1/fleet_pb.js";
import { FleetStream, type Connection } from "../../../web/src/fleet/fleet-stream.ts";
import { ManualClock } from "../manual-clock.ts";
import { caughtUp, host, message, snapshot } from "./wire.ts";

type Watch = (resumeToken: string, signal: AbortSignal) => AsyncIterable<WatchFleetResponse>;

/** A stream over a real client, whose server side a test plays. */
function play(...rounds: readonly Watch[]) {
  return playTo(false, ...rounds);
}

/** The same; `isWelcome` tells whether a refused stream's session still stands. */
function playTo(isWelcome: boolean, ...rounds: readonly Watch[]) {
  const clock = new ManualClock();
  const tokens: string[] = [];
  const connections: Connection[] = [];
  const received: (string | undefined)[] = [];
  let round = 0;
  const transport = createRouterTransport(({ rpc }) => {
    rpc(FleetService.method.watchFleet, ({ resumeToken }, { signal }) => {
      tokens.push(resumeToken);
      const watch = rounds[Math.min(round, rounds.length - 1)];
      round += 1;
      if (watch === undefined) throw new Error("no round was given");
      return watch(resumeToken, signal);
    });
  });
  const client = createClient(FleetService, transport);
  const stream = new FleetStream({
    watch: (resumeToken, signal) => client.watchFleet({ resumeToken }, { signal }),
    clock,
    random: () => 1,
    isStillWelcome: async () => isWelcome,
    onMessage: ({ change }) => received.push(change.case),
    onConnection: (connection) => connections.push(connection),
  });
  const ended = stream.run();
  const kinds = (): string[] => connections.map(({ kind }) => kind);
  return { clock, tokens, connections, received, stream, ended, kinds };
}

async function* silent(signal: AbortSignal): AsyncIterable<WatchFleetResponse> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  yield* [];
}

const whole: Watch = async function* (_token, signal) {
  yield snapshot([host("a")]);
  yield caughtUp;
  yield* silent(signal);
};

/** Fails before it has anything to say. */
function failing(error: ConnectError): AsyncIterable<WatchFleetResponse> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
}

const broken: Watch = () => failing(new ConnectError("gone", Code.Unavailable));

test("it is live only once the picture is whole, and goes on where it ended", async () => {
  const cut: Watch = async function* () {
    yield snapshot([host("a")]);
    yield caughtUp;
    yield message({ resumeToken: "feed.7", change: { case: "host", value: host("b") } });
  };
  const { clock, tokens, connections, kinds, received, stream, ended } = play(cut, whole);
  await vi.waitFor(() => expect(kinds()).toEqual(["live", "away"]));
  expect(received).toEqual(["snapshot", "caughtUp", "host"]);
  expect(connections[1]).toEqual({ kind: "away", sinceMs: 0, nextTryAtMs: 1_000 });
  clock.advance(1_000);
  await vi.waitFor(() => expect(kinds().at(-1)).toBe("live"));
  expect(tokens).toEqual(["", "feed.7"]);
  expect(connections.at(-1)).toEqual({ kind: "live", backAtMs: 1_000 });
  stream[Symbol.dispose]();
  await ended;
  expect(clock.size).toBe(0);
});

test("each further try comes later, up to fifteen seconds, and the loss is dated from its beginning", async () => {
  const { clock, connections, stream, ended } = play(broken);
  const pauses: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    await vi.waitFor(() =>
      expect(connections.at(-1)).toMatchObject({ kind: "away", nextTryAtMs: expect.any(Number) as number }),
    );
    const last = connections.at(-1);
    if (last?.kind !== "away" || last.nextTryAtMs === undefined) throw new Error("not away");
    expect(last.sinceMs).toBe(0);
    pauses.push(last.nextTryAtMs - clock.monotonicMs());
    const heard = connections.length;
    clock.advance(last.nextTryAtMs - clock.monotonicMs());
    await vi.waitFor(() => expect(connections.length).toBeGreaterThan(heard + 1));
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  stream[Symbol.dispose]();
  await ended;
});

test("messages that arrive all at once leave the browser its turn every eight milliseconds", async () => {
  const clock = new ManualClock();
  /** How often others had their turn before each message. */
  const turnsBefore: number[] = [];
  const stream = new FleetStream({
    watch: async function* () {
      for (let index = 0; index < 20; index += 1)
        yield message({ change: { case: "host", value: host(`web-${index}`) } });
      yield* silent(ended.signal);
    },
    clock,
    random: () => 1,
    isStillWelcome: async () => false,
    onMessage: () => {
      turnsBefore.push(clock.turns);
      clock.advance(3);
    },
    onConnection: () => {},
  });
  const ended = new AbortController();
  const run = stream.run();
  await vi.waitFor(() => expect(turnsBefore).toHaveLength(20));
  expect(turnsBefore).toEqual(Array.from({ length: 20 }, (_, index) => Math.floor(index / 3)));
  stream[Symbol.dispose]();
  ended.abort();
  await run;
});

test("a line that is silent for longer than the server ever is counts as lost", async () => {
  const { clock, kinds, stream, ended } = play(whole);
  await vi.waitFor(() => expect(kinds()).toEqual(["live"]));
  clock.advance(15_000);
  await vi.waitFor(() => expect(kinds()).toEqual(["live", "away"]));
  stream[Symbol.dispose]();
  await ended;
});

test("it tries at once when it is told to", async () => {
  const { kinds, stream, ended } = play(broken, whole);
  await vi.waitFor(() => expect(kinds()).toEqual(["away"]));
  stream.tryNow();
  await vi.waitFor(() => expect(kinds().at(-1)).toBe("live"));
  stream[Symbol.dispose]();
  await ended;
});

test.each([Code.Unauthenticated, Code.PermissionDenied])(
  "a server that refuses (code %i) is not asked again",
  async (code) => {
    const refuse: Watch = () => failing(new ConnectError("no", code));
    const { clock, kinds, tokens, ended } = play(refuse);
    await ended;
    expect(kinds()).toEqual(["refused"]);
    expect(tokens).toEqual([""]);
    expect(clock.size).toBe(0);
  },
);

test("a stream that was refused is opened again while the session stands", async () => {
  const refuse: Watch = () => failing(new ConnectError("the session has ended", Code.Unauthenticated));
  const { kinds, stream, ended } = playTo(true, refuse, whole);
  await vi.waitFor(() => expect(kinds()).toEqual(["away"]));
  stream.tryNow();
  await vi.waitFor(() => expect(kinds().at(-1)).toBe("live"));
  expect(kinds()).not.toContain("refused");
  stream[Symbol.dispose]();
  await ended;
});

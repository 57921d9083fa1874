/**
 * Slows guessing down. Wrong passwords are counted for a pair of account and address,
 * and for an address; past a few each further one has to wait, up to a minute. No
 * account is ever locked: whoever could do that by guessing would lock the admin out.
 * An attempt counts when it begins, so that many at once gain nothing.
 *
 * Kept in memory: a restart forgives. Servers tell each other of tries, so that guessing
 * at several gains no more than what is tried before they hear of it.
 */
import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import type { Clock } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";

const FREE_TRIES_OF_ACCOUNT = 5;
const FREE_TRIES_OF_ADDRESS = 30;
/** *Units*: milliseconds. */
const FIRST_DELAY_MS = 1_000;
const GREATEST_DELAY_MS = 60_000;
const FORGET_AFTER_MS = 15 * 60_000;
const MAX_ENTRIES = 20_000;
/** How keys begin. */
const [ACCOUNT, ADDRESS] = ["account:", "address:"];

interface Entry {
  readonly tries: number;
  /** On the monotonic clock. */
  readonly notBeforeMs: number;
  readonly lastTryMs: number;
}

/** Tells other servers of tries, by keys that give no name and no address away. */
export interface TryListener {
  tried(key: string): void;
  succeeded(key: string): void;
}

export class LoginThrottle {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #others: TryListener;
  /** Least recently tried first. */
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Pick<Clock, "monotonicMs">, others: TryListener = { tried: () => {}, succeeded: () => {} }) {
    this.#clock = clock;
    this.#others = others;
  }

  /** Counts a try. *Throws* RefusedError when it comes too early; then it does not count. */
  admit(username: string, address: string): void {
    const nowMs = this.#clock.monotonicMs();
    const keys = [accountKey(username, address), addressKey(address)];
    const waitMs = Math.max(...keys.map((key) => (this.#find(key, nowMs)?.notBeforeMs ?? nowMs) - nowMs));
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1000);
      const sentence = `Too many wrong passwords from here. Try again in ${seconds} s; the account is not locked.`;
      throw new RefusedError("login_delayed", sentence, {}, Math.ceil(waitMs));
    }
    for (const key of keys) {
      this.#count(key, nowMs);
      this.#others.tried(key);
    }
  }

  /** The password was right: this account starts over from this address, and the try does not count for the address. */
  succeeded(username: string, address: string): void {
    for (const key of [accountKey(username, address), addressKey(address)]) {
      this.#forgive(key);
      this.#others.succeeded(key);
    }
  }

  /** Another server counted a try. */
  triedElsewhere(key: string): void {
    this.#count(key, this.#clock.monotonicMs());
  }

  /** A password was right at another server. */
  succeededElsewhere(key: string): void {
    this.#forgive(key);
  }

  #forgive(key: string): void {
    const entry = this.#entries.get(key);
    if (key.startsWith(ACCOUNT)) this.#entries.delete(key);
    else if (entry !== undefined) this.#entries.set(key, { ...entry, tries: entry.tries - 1, notBeforeMs: 0 });
  }

  #find(key: string, nowMs: number): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || nowMs - entry.lastTryMs > FORGET_AFTER_MS ? undefined : entry;
  }

  #count(key: string, nowMs: number): void {
    const freeTries = key.startsWith(ACCOUNT) ? FREE_TRIES_OF_ACCOUNT : FREE_TRIES_OF_ADDRESS;
    const tries = (this.#find(key, nowMs)?.tries ?? 0) + 1;
    const delayMs =
      tries < freeTries ? 0 : Math.min(FIRST_DELAY_MS * 2 ** Math.min(tries - freeTries, 20), GREATEST_DELAY_MS);
    this.#entries.delete(key);
    this.#entries.set(key, { tries, notBeforeMs: nowMs + delayMs, lastTryMs: nowMs });
    if (this.#entries.size > MAX_ENTRIES) this.#forgetOldest();
  }

  /** Half of them at once: looking for the one oldest at each try costs more the more there were. */
  #forgetOldest(): void {
    let left = MAX_ENTRIES / 2;
    for (const key of this.#entries.keys()) {
      this.#entries.delete(key);
      left -= 1;
      if (left === 0) return;
    }
  }
}

function accountKey(username: string, address: string): string {
  return ACCOUNT + digest(`${networkOf(address)} ${username.toLowerCase()}`);
}

function addressKey(address: string): string {
  return ADDRESS + digest(networkOf(address));
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** One home has a whole /64 of IPv6 addresses to guess from. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const left = head.split(":").filter((group) => group !== "");
  const right = (tail ?? "").split(":").filter((group) => group !== "");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array.from({ length: Math.max(zeros, 0) }, () => "0"), ...right].slice(0, 4).join(":");
}

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/**
 * The next message of a child process.
 *
 * *Throws* Error when it ends instead, and the signal's reason when aborted.
 */
export async function nextMessage<Message>(child: ChildProcess, what: string, signal: AbortSignal): Promise<Message> {
  const over = new AbortController();
  const waiting = AbortSignal.any([over.signal, signal]);
  try {
    const ended = once(child, "exit", { signal: waiting }).then(() => {
      throw new Error(`${what} ended`);
    });
    const [message] = (await Promise.race([once(child, "message", { signal: waiting }), ended])) as [Message];
    return message;
  } finally {
    over.abort();
  }
}

/** Ends a child process and waits until it is gone. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/**
 * Connections to a server that is known by its key alone, as the install line knows it.
 * Nothing is sent before the key was compared.
 */
import { createHash, type X509Certificate } from "node:crypto";
import { Agent, type AgentOptions } from "node:https";
import { connect, type ConnectionOptions } from "node:tls";
import type { Duplex } from "node:stream";

/** As curl's `--pinnedpubkey` takes it. */
const PIN_PATTERN = /^sha256\/\/[A-Za-z0-9+/]{43}=$/;

/** True for a pin such as `sha256//…=`, in base64. */
export function isPin(text: string): boolean {
  return PIN_PATTERN.test(text);
}

/** The pin of a certificate's key. */
function pinOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return `sha256//${createHash("sha256").update(spki).digest("base64")}`;
}

/** A connection was made to a server whose key is not the one that was pinned. */
class WrongKeyError extends Error {
  readonly code = "CERT_KEY_NOT_PINNED";
}

/** An agent of node:https that trusts one key. */
export class PinnedAgent extends Agent {
  readonly #pin: string;

  constructor(pin: string) {
    super({ keepAlive: true });
    this.#pin = pin;
  }

  override createConnection(
    options: AgentOptions & ConnectionOptions,
    done?: (error: Error | null, stream: Duplex) => void,
  ): null {
    // The pin is all there is to trust: neither names nor dates of the certificate say more.
    const socket = connect({ ...options, rejectUnauthorized: false });
    socket.once("error", (error: Error) => done?.(error, socket));
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate !== undefined && pinOf(certificate) === this.#pin) {
        done?.(null, socket);
        return;
      }
      const shown = certificate === undefined ? "none" : pinOf(certificate);
      socket.destroy(new WrongKeyError(`its key is ${shown}, and ${this.#pin} is pinned`));
    });
    return null;
  }
}

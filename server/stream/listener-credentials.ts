import { ServerCredentials } from "@grpc/grpc-js";
import type { CertificatePair } from "./certificate-authority.ts";
import type { ListenerLimits } from "./limits.ts";

/**
 * TLS for the agent listener, with the HTTP/2 limits that grpc-js has no option
 * for, and a certificate that can be exchanged while connections live on.
 */
export class ListenerCredentials extends ServerCredentials {
  constructor(pair: CertificatePair, limits: ListenerLimits) {
    super(
      {
        requestCert: false,
        handshakeTimeout: limits.authenticationTimeoutMs,
        settings: {
          maxConcurrentStreams: limits.streamsPerConnection,
          maxHeaderListSize: limits.headerBytes,
          enablePush: false,
        },
      },
      secureContext(pair),
    );
  }

  /** New connections are served the new certificate; open ones keep theirs. */
  renew(pair: CertificatePair): void {
    this.updateSecureContextOptions(secureContext(pair));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function secureContext(pair: CertificatePair): {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: "TLSv1.2";
} {
  return { cert: pair.certPem, key: pair.keyPem, minVersion: "TLSv1.2" };
}

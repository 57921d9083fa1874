/**
 * TLS to a server through a proxy, for a channel that dials the proxy. grpc-js can
 * send CONNECT itself, but only drops what the proxy answered and waits for it without
 * an end. What it offers is the socket that it connected, before TLS: the tunnel is
 * asked for there, and TLS then checks the server's name as it does without a proxy.
 */
import type { Socket } from "node:net";
import { ChannelCredentials } from "@grpc/grpc-js";
import type { HttpProxy } from "./http-proxy.ts";
import { requestTunnel } from "./request-tunnel.ts";

type CreateConnector = ChannelCredentials["_createSecureConnector"];
type SecureConnector = ReturnType<CreateConnector>;

/** Credentials of a channel whose target is the proxy and whose peer is the server. */
export class TunnelCredentials extends ChannelCredentials {
  readonly #toServer: ChannelCredentials;
  readonly #proxy: HttpProxy;
  readonly #server: string;

  constructor(toServer: ChannelCredentials, proxy: HttpProxy, server: string) {
    super();
    this.#toServer = toServer;
    this.#proxy = proxy;
    this.#server = server;
  }

  override _isSecure(): boolean {
    return this.#toServer._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  /** The target that grpc-js names is the proxy; whose certificate to expect is told by ours. */
  override _createSecureConnector(...[, options, callCredentials]: Parameters<CreateConnector>): SecureConnector {
    const target = { scheme: "dns", path: this.#server };
    const toServer = this.#toServer._createSecureConnector(target, options, callCredentials);
    return tunnelTo(toServer, (socket) => requestTunnel(socket, this.#proxy, this.#server));
  }
}

function tunnelTo(toServer: SecureConnector, askForTunnel: (socket: Socket) => Promise<void>): SecureConnector {
  const connecting = new Set<Socket>();
  let isDestroyed = false;
  return {
    async connect(socket) {
      if (isDestroyed) throw new Error("the channel is closed");
      connecting.add(socket);
      try {
        await askForTunnel(socket);
        return await toServer.connect(socket);
      } finally {
        connecting.delete(socket);
      }
    },
    waitForReady: () => toServer.waitForReady(),
    getCallCredentials: () => toServer.getCallCredentials(),
    destroy() {
      isDestroyed = true;
      for (const socket of connecting) socket.destroy();
      toServer.destroy();
    },
  };
}

/** Opens the one TLS connection to a server that everything of a session uses. */
import { Client, credentials, type ChannelOptions } from "@grpc/grpc-js";
import { proxyAddress, type HttpProxy } from "../proxy/http-proxy.ts";
import { TunnelCredentials } from "../proxy/tunnel-credentials.ts";

/** *Units*: bytes. The largest message is a block of 1 MiB and its frame. */
const MAX_MESSAGE_BYTES = 1024 * 1024 + 4096;

/**
 * *Units*: bytes. HTTP/2's default of 64 KiB stops a fast link between any two
 * round trips. Much more would let a download delay the answer to a PING on a
 * slow link beyond the keepalive's limit: 512 KiB pass in 10 s at 420 kbit/s.
 */
const FLOW_CONTROL_WINDOW_BYTES = 512 * 1024;

const OPTIONS: ChannelOptions = {
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc-node.flow_control_window": FLOW_CONTROL_WINDOW_BYTES,
  // Only the configuration says whom to talk to: no proxy from the environment, no TXT records.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  // This agent paces its own attempts: nothing is retried or shared below it.
  "grpc.enable_retries": 0,
  "grpc.use_local_subchannel_pool": 1,
};

/**
 * A channel to one server. It connects with the first call; whoever opened it
 * closes it.
 *
 * @param server `host:port`; the certificate must name this host.
 * @param roots certificates to trust, in PEM, and no others.
 * @param proxy to go through; it sees the server's name and encrypted bytes.
 */
export function openChannel(server: string, roots: Buffer, proxy?: HttpProxy): Client {
  const toServer = credentials.createSsl(roots);
  if (proxy === undefined) return new Client(`dns:${server}`, toServer, OPTIONS);
  return new Client(`dns:${proxyAddress(proxy)}`, new TunnelCredentials(toServer, proxy, server), {
    ...OPTIONS,
    "grpc.default_authority": server,
  });
}

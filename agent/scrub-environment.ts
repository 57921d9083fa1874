/**
 * Deletes what the environment could use to change whom this process trusts or
 * through whom it talks. Imported first by `main.ts`: grpc-js reads some of
 * these names while it loads.
 */
const UNTRUSTED_NAME = /^(?:GRPC_|NODE_|SSL_|OPENSSL_)|_proxy$/i;

for (const name of Object.keys(process.env)) {
  if (UNTRUSTED_NAME.test(name)) delete process.env[name];
}

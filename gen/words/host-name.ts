/** What people call a host: by the name it was given, else by its hostname. */
export function nameOf(host: { readonly displayName: string; readonly hostname: string }): string {
  return host.displayName === "" ? host.hostname : host.displayName;
}

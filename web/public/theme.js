// Runs before the first paint, so that a dark page never flashes light. A file of its
// own, since the page may run no inline script. src/shell/theme.ts writes the key.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("rollcall.theme");
  } catch {
    // Storage may be forbidden; then the system's wish counts.
  }
  const dark =
    chosen === "dark" || (chosen !== "light" && globalThis.matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();

/**
 * Runs in the page before its own scripts, and notes when it is of use: its tiles have
 * figures, and its table has rows as far down as is seen. *Units*: milliseconds since
 * the navigation began.
 */
const paintNotes = { usefulMs: 0, liveMs: 0, layoutShift: 0 };

new PerformanceObserver((list) => {
  for (const { value } of list.getEntries()) paintNotes.layoutShift += value;
}).observe({ type: "layout-shift", buffered: true });

function isUseful() {
  const rows = [...document.querySelectorAll("[data-row]")];
  const lowest = Math.max(0, ...rows.map((row) => row.getBoundingClientRect().bottom));
  const figure = document.querySelector('[data-testid="tile-online"]')?.textContent ?? "";
  return /\d/.test(figure) && lowest >= innerHeight;
}

function isLive() {
  return document.querySelector('[data-testid="connection"][data-state="live"]') !== null;
}

/** What was noted, once every host is here. */
globalThis.notedPaint = new Promise((resolve) => {
  // What holds at the start of a frame was drawn by the one before.
  requestAnimationFrame(function look() {
    if (paintNotes.usefulMs === 0 && isUseful()) paintNotes.usefulMs = performance.now();
    if (paintNotes.usefulMs > 0 && isLive()) {
      paintNotes.liveMs = performance.now();
      resolve(paintNotes);
    } else {
      requestAnimationFrame(look);
    }
  });
});

/**
 * Runs in the page and notes how long inputs take to show, as the browser measures it by
 * Event Timing. A press and its release are one input, as slow as the slower of the two.
 */
const inputNotes = { presses: 0, durations: {}, tasks: [] };
globalThis.inputNotes = inputNotes;

for (const type of ["keydown", "pointerdown"]) {
  addEventListener(
    type,
    () => {
      inputNotes.presses += 1;
    },
    { capture: true },
  );
}

new PerformanceObserver((list) => {
  for (const { duration, interactionId } of list.getEntries()) {
    if (interactionId > 0)
      inputNotes.durations[interactionId] = Math.max(inputNotes.durations[interactionId] ?? 0, duration);
  }
}).observe({ type: "event", durationThreshold: 16 });

new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) inputNotes.tasks.push(duration);
}).observe({ type: "longtask" });

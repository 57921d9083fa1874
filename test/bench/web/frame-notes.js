/**
 * Runs in the page and asks of each frame whether every row that should be seen is
 * there, at its place. A row that is missing, or another's, is one dropped row.
 */
const frameNotes = { frames: [], rowsExpected: 0, rowsDropped: 0, mostRowsInDocument: 0, isOver: false };
globalThis.frameNotes = frameNotes;

requestAnimationFrame(function look(at) {
  if (frameNotes.isOver) return;
  requestAnimationFrame(look);
  const rows = document.querySelectorAll("[data-row]");
  frameNotes.frames.push(at);
  frameNotes.mostRowsInDocument = Math.max(frameNotes.mostRowsInDocument, rows.length);
  if (rows.length === 0) {
    frameNotes.rowsExpected += 1;
    frameNotes.rowsDropped += 1;
    return;
  }
  const height = rows[0].offsetHeight;
  const { top, bottom, left, width } = rows[0].parentElement.getBoundingClientRect();
  for (let index = Math.max(0, Math.ceil(-top / height - 0.5)); ; index += 1) {
    const middle = top + (index + 0.5) * height;
    if (middle >= Math.min(innerHeight, bottom)) break;
    frameNotes.rowsExpected += 1;
    const found = document.elementsFromPoint(left + width / 2, middle).map((element) => element.closest("[data-row]"));
    if (!found.some((row) => row?.dataset.row === String(index))) frameNotes.rowsDropped += 1;
  }
});

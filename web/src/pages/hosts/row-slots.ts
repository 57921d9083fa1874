/**
 * Which element of the document shows which row of the table. A row keeps its element
 * for as long as it is drawn, and an element whose row went shows the next one that
 * came: to change what an element says costs a fraction of making one.
 *
 * Elements stand in the order of the table, for who reads the document from top to
 * bottom. One that is moved there would lose the focus, so no other element ever passes
 * the one that may have it.
 */
import type { Host } from "../../../../gen/rollcall/v1/model_pb.js";

/** A row to be drawn, from 0 in the whole table. */
export interface TableRow {
  readonly index: number;
  readonly host: Host;
}

/** A row and the element that shows it. */
export interface DrawnRow extends TableRow {
  readonly slot: number;
}

/** Where a row stands: before the one that may have the focus, after it, or there is none. */
type Side = "before" | "after" | "anywhere";

export class RowSlots {
  #drawn: readonly DrawnRow[] = [];
  #nextSlot = 0;

  /**
   * Gives each row a slot. `focused` names the host whose row may have the focus; its
   * element goes with the row, so that the focus never comes to stand on another host.
   * *Shape*: in the order of the table; a row that did not change is the same object.
   */
  place(rows: readonly TableRow[], focused: string | undefined): readonly DrawnRow[] {
    const ordered = rows.toSorted((a, b) => a.index - b.index);
    const [was, is] = [this.#drawn, ordered].map((list) => list.findIndex(({ host }) => host.id === focused));
    const stays = was !== undefined && is !== undefined && was >= 0 && is >= 0;
    const sideOf = (place: number, middle = 0): Side => (!stays ? "anywhere" : place < middle ? "before" : "after");
    const wanted = new Map(ordered.map(({ host }, place) => [host.id, sideOf(place, is)]));
    const kept = new Map<string, DrawnRow>();
    const free: Readonly<Record<Side, number[]>> = { before: [], after: [], anywhere: [] };
    for (const [place, drawn] of this.#drawn.entries()) {
      const side = sideOf(place, was);
      if (wanted.get(drawn.host.id) === side) kept.set(drawn.host.id, drawn);
      else if (drawn.host.id !== focused) free[side].push(drawn.slot);
    }
    this.#drawn = ordered.map(({ index, host }, place) => {
      const known = kept.get(host.id);
      if (known?.index === index && known.host === host) return known;
      return { index, host, slot: known?.slot ?? free[sideOf(place, is)].shift() ?? this.#nextSlot++ };
    });
    return this.#drawn;
  }
}

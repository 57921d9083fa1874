/**
 * Which element of the document shows which row of the table. A row keeps its element
 * for as long as it is drawn, and an element whose row went shows the next one that
 * came: to change what an element says costs a fraction of making one.
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

export class RowSlots {
  #drawn: readonly DrawnRow[] = [];
  #nextSlot = 0;

  /**
   * Gives each row a slot. `unshared` names the host whose element goes with its row: it
   * may have the focus, which must not come to stand on another host.
   * *Shape*: in the order of the table; a row that did not change is the same object.
   */
  place(rows: readonly TableRow[], unshared: string | undefined): readonly DrawnRow[] {
    const wanted = new Set(rows.map(({ host }) => host.id));
    const kept = new Map<string, DrawnRow>();
    const free: number[] = [];
    for (const drawn of this.#drawn) {
      if (wanted.has(drawn.host.id)) kept.set(drawn.host.id, drawn);
      else if (drawn.host.id !== unshared) free.push(drawn.slot);
    }
    this.#drawn = rows
      .toSorted((a, b) => a.index - b.index)
      .map(({ index, host }) => {
        const known = kept.get(host.id);
        if (known?.index === index && known.host === host) return known;
        return { index, host, slot: known?.slot ?? free.shift() ?? this.#nextSlot++ };
      });
    return this.#drawn;
  }
}

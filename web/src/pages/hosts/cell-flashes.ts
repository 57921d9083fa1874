/**
 * Lets a cell light up once when what it says has changed. In a storm of changes that
 * would be a flicker, so only so many light up a second.
 */
import type { Clock } from "../../time/browser-clock.ts";

const MOST_A_SECOND = 20;
/** *Units*: milliseconds. */
const FLASH_MS = 800;

/** What a cell shows, and of which host. */
export interface CellWords {
  readonly of: string;
  readonly says: string;
}

/** What all cells of a table share. */
export class CellFlashes {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #wantsMotion: () => boolean;
  /** When each flash of the last second began, oldest first. */
  #begun: readonly number[] = [];

  constructor(clock: Pick<Clock, "monotonicMs">, wantsMotion: () => boolean) {
    this.#clock = clock;
    this.#wantsMotion = wantsMotion;
  }

  /** An attachment for the cell that shows what `read` returns. The first words of a host are no change. */
  of(read: () => CellWords): (cell: Pick<HTMLElement, "animate">) => void {
    let known: CellWords | undefined;
    return (cell) => {
      const words = read();
      if (known?.of === words.of && known.says !== words.says && this.#take())
        cell.animate({ backgroundColor: ["var(--progress-line)", "transparent"] }, FLASH_MS);
      known = words;
    };
  }

  #take(): boolean {
    if (!this.#wantsMotion()) return false;
    const nowMs = this.#clock.monotonicMs();
    this.#begun = this.#begun.filter((atMs) => nowMs - atMs < 1_000);
    if (this.#begun.length >= MOST_A_SECOND) return false;
    this.#begun = [...this.#begun, nowMs];
    return true;
  }
}

/** Frames after which a page that did not grow is scrolled as far as it goes: about half a second. */
const MOST_FRAMES = 30;

/**
 * Scrolls down by `top` CSS pixels as soon as the page is tall enough. A page that is gone
 * back to is drawn first, and may have to be fetched; somebody who scrolls by hand
 * meanwhile is not pulled away.
 */
export function scrollOnceTall(top: number): void {
  let frames = 0;
  let isTaken = false;
  const take = (): void => {
    isTaken = true;
  };
  addEventListener("wheel", take, { once: true, passive: true });
  addEventListener("touchmove", take, { once: true, passive: true });
  const look = (): void => {
    frames += 1;
    const isTall = document.documentElement.scrollHeight - innerHeight >= top;
    if (!isTaken && !isTall && frames < MOST_FRAMES) {
      requestAnimationFrame(look);
      return;
    }
    removeEventListener("wheel", take);
    removeEventListener("touchmove", take);
    if (!isTaken) scrollTo(0, top);
  };
  requestAnimationFrame(look);
}

/** An element, as far as its tips are concerned. */
export type Tipped = Pick<Element, "getAttribute" | "querySelectorAll">;

/** What is to be told of an element that has the focus: its own tip, or those of what it holds. *Shape*: may be empty. */
export function tipWords(element: Tipped): string {
  const own = element.getAttribute("data-tip");
  const held =
    own === null ? [...element.querySelectorAll("[data-tip]")].map((one) => one.getAttribute("data-tip")) : [own];
  return held.filter((words) => words !== null && words !== "").join(" · ");
}

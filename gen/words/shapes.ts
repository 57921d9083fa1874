/**
 * What a state looks like: a shape of its own and a colour that only confirms it.
 * A shape never stands without its word.
 */
export type Shape =
  | "online"
  | "current"
  | "behind"
  | "held"
  | "failed"
  | "rolledBack"
  | "progress"
  | "offline"
  | "pending"
  | "skipped"
  | "cancelled";

/** Which family of colours a shape takes. */
export type Tone = "current" | "behind" | "failed" | "progress" | "offline";

const TONES: Readonly<Record<Shape, Tone>> = {
  online: "current",
  current: "current",
  behind: "behind",
  held: "behind",
  failed: "failed",
  rolledBack: "failed",
  progress: "progress",
  offline: "offline",
  pending: "offline",
  skipped: "offline",
  cancelled: "offline",
};

/** The colours of a shape. */
export function toneOf(shape: Shape): Tone {
  return TONES[shape];
}

/** How a state is shown. */
export interface StateWord {
  readonly shape: Shape;
  readonly word: string;
}

/** Which part of a list is asked for: its beginning, or what follows an entry that was seen. */
export interface ListPart<Position> {
  readonly after?: Position;
  readonly limit: number;
}

/** Where an entry stands in a list that begins with the newest; of two of one age the greater id comes first. */
export interface AgePosition<Id> {
  readonly createdAt: Date;
  readonly id: Id;
}

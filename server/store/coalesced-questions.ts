/**
 * Questions of one transaction that are asked one by one and answered many at a time.
 * Whoever asks waits; once nobody has anything else to do, each kind of question goes
 * to the database once, with all that was asked of it. Kinds are answered in the order
 * in which they were added: that of the locks that they take.
 */
import { nextTick } from "node:process";

interface Asked<Input, Output> {
  readonly input: Input;
  readonly resolve: (output: Output) => void;
  readonly reject: (error: unknown) => void;
}

interface Kind {
  readonly waiting: readonly unknown[];
  answer(): Promise<void>;
}

/** See the chapter above. Lives as long as its transaction. */
export class CoalescedQuestions {
  readonly #kinds: Kind[] = [];
  #isAnswering = false;

  /**
   * Adds a kind of question.
   *
   * *Shape*: `answerAll` gives one answer for each input, in their order. What it throws, everybody who asked is thrown.
   */
  add<Input, Output>(
    answerAll: (inputs: readonly Input[]) => Promise<readonly Output[]>,
  ): (input: Input) => Promise<Output> {
    const waiting: Asked<Input, Output>[] = [];
    const answer = async (): Promise<void> => {
      const asked = waiting.splice(0);
      try {
        const outputs = await answerAll(asked.map(({ input }) => input));
        for (const [index, { resolve }] of asked.entries()) resolve(outputs[index] as Output);
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    };
    this.#kinds.push({ waiting, answer });
    return (input) =>
      new Promise((resolve, reject) => {
        waiting.push({ input, resolve, reject });
        void this.#answerSoon();
      });
  }

  async #answerSoon(): Promise<void> {
    if (this.#isAnswering) return;
    this.#isAnswering = true;
    await everybodyWaits();
    while (this.#kinds.some(({ waiting }) => waiting.length > 0)) {
      for (const kind of this.#kinds) {
        if (kind.waiting.length === 0) continue;
        await kind.answer();
        // What follows from these answers is asked before the next kind's turn, and may be of it.
        await everybodyWaits();
      }
    }
    this.#isAnswering = false;
  }
}

/** Resolves once every promise that was settled has been heard. */
function everybodyWaits(): Promise<void> {
  return new Promise((resolve) => nextTick(resolve));
}

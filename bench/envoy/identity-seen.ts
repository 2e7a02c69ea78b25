// What the benchmark's server says of the token that has come, and whether it is what a listener should have sent.
import type { Answer } from "./load.ts";

/** How tokens of the benchmark's token endpoint begin. */
export const MINTED = "minted-";

/** @throws Error when the answer is not that of the server that has seen this token. */
export function expectSeen(name: string, { status, body }: Answer, whose: "nobody" | "caller" | "minted"): void {
  if (status !== 200 || !body.includes(`"text":"${whose}"`)) {
    throw new Error(`${name}: expected the server to see the token of ${whose}, got ${status} ${body.slice(0, 200)}`);
  }
}

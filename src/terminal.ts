// Text of others that is shown on a terminal, which obeys control characters (ECMA-48), the C1 ones too, and lets format
// characters hide what stands there or turn it around (Unicode UAX #9).

/** The text without any such character but line feed and tab; each becomes a space. */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cf}]/gu, " ");
}

/** The same as one line: runs of them and of white space become one space. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
}

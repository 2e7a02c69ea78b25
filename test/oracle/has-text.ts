// What a server could make of the beginning of a body.

/** Whether a server that reads a JSON text at the start of its input would find one. */
export function hasText(bytes: Buffer): boolean {
  const text = bytes.toString("utf8");
  for (let end = text.lastIndexOf("}"); end >= 0; end = text.lastIndexOf("}", end - 1)) {
    try {
      JSON.parse(text.slice(0, end + 1));
      return true;
    } catch {}
  }
  return false;
}

// Lines of pieces, on a terminal with colours or as plain text.
import type { Span } from "../paint.ts";
import type { CommandContext } from "./command.ts";

/** Writes each line, painted where that can be seen. */
export function show(context: CommandContext, lines: Iterable<readonly Span[]>): void {
  for (const spans of lines) {
    if (context.paint === undefined) context.out(spans.map(({ text }) => text).join(""));
    else context.paint(spans);
  }
}

/** The lines of a text without pieces. */
export function plainLines(lines: readonly string[]): Span[][] {
  return lines.map((text) => [{ text }]);
}

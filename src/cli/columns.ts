// Plain text in columns.

/**
 * A table as lines of text: a head, a rule, and the rows.
 * @param widths the widest that each column may get, in characters; longer cells are wrapped at spaces.
 */
export function renderColumns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  widths: readonly number[],
): string[] {
  const wrapped = [head, ...rows].map((row) => row.map((cell, column) => wrap(cell, widths[column] ?? 1)));
  // Not Math.max over all cells: a table may have more rows than a call can have arguments.
  const used = head.map((_, column) =>
    wrapped.reduce((widest, row) => Math.max(widest, ...(row[column] ?? []).map((part) => part.length)), 0),
  );
  const lines: string[] = [];
  wrapped.forEach((row, index) => {
    const height = Math.max(...row.map((parts) => parts.length));
    for (let line = 0; line < height; line++) {
      const cells = used.map((width, column) => (row[column]?.[line] ?? "").padEnd(width));
      lines.push(cells.join("  ").trimEnd());
    }
    if (index === 0) lines.push(used.map((width) => "-".repeat(width)).join("  "));
  });
  return lines;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

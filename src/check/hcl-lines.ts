// Where the blocks and attributes of an HCL file stand (HCL native syntax specification). The parser gives values without their lines; this reads
// the same text for the lines alone. It never judges: what is no HCL is the parser's to say.

/** A block of a file, or its root (without a type). */
export interface HclPlace {
  type: string;
  labels: string[];
  /** Counted from 1. */
  line: number;
  attributes: { name: string; line: number }[];
  blocks: HclPlace[];
}

/** The text has more open brackets, quotes and templates than this reads. */
export class HclDepthError extends Error {
  readonly line: number;

  constructor(line: number) {
    super(`more than ${DEPTH_MAX} brackets and templates are open`);
    this.line = line;
  }
}

/** Brackets, quotes and templates that may be open at once. The parser recurses: a text of brackets alone would exhaust its stack. */
const DEPTH_MAX = 100;

const NAME = /[\p{ID_Start}_][\p{ID_Continue}-]*/uy;
const HEREDOC = /<<-?([\p{ID_Start}_][\p{ID_Continue}-]*)[^\S\n]*\n/uy;
const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/**
 * The blocks and attributes of a file with their lines.
 * @throws HclDepthError
 */
export function hclPlaces(text: string): HclPlace {
  return new Scanner(text).run();
}

class Scanner {
  private readonly text: string;
  private offset = 0;
  private line = 1;
  private readonly root: HclPlace = { type: "", labels: [], line: 1, attributes: [], blocks: [] };
  /** The blocks that are open, the innermost last. */
  private readonly open: HclPlace[] = [this.root];

  constructor(text: string) {
    this.text = text;
  }

  run(): HclPlace {
    while (this.skipBlanks(true)) {
      if (this.peek() === "}" && this.open.length > 1) {
        this.open.pop();
        this.advance(1);
      } else if (!this.readItem()) {
        this.advance(1);
      }
    }
    return this.root;
  }

  /** An attribute with its expression, or the head of a block. Whether there was one. */
  private readItem(): boolean {
    const { line } = this;
    const name = this.match(NAME)?.[0];
    const block = this.open.at(-1);
    if (name === undefined || block === undefined) return false;
    const labels: string[] = [];
    while (this.skipBlanks(false)) {
      const next = this.peek();
      if (next === "=") {
        block.attributes.push({ name, line });
        this.advance(1);
        this.skipExpression();
        return true;
      }
      if (next === "{") {
        const inner: HclPlace = { type: name, labels, line, attributes: [], blocks: [] };
        block.blocks.push(inner);
        this.open.push(inner);
        if (this.open.length > DEPTH_MAX) throw new HclDepthError(line);
        this.advance(1);
        return true;
      }
      const label = this.match(/"([^"\\\n]*)"/y)?.[1] ?? this.match(NAME)?.[0];
      if (label === undefined) return true;
      labels.push(label);
    }
    return true;
  }

  /** Up to the line break, or the end of the block, that ends an expression. */
  private skipExpression(): void {
    /** What closes each bracket, quote and template that is open. */
    const closing: string[] = [];
    while (this.offset < this.text.length) {
      if (closing.length > DEPTH_MAX) throw new HclDepthError(this.line);
      const next = this.peek();
      if (closing.at(-1) === '"') {
        const open = this.inQuotes(next);
        if (open !== undefined) closing.push(open);
        else if (next === '"') closing.pop();
        continue;
      }
      if (closing.length === 0 && (next === "\n" || next === "}")) return;
      if (this.skipComment() || this.skipHeredoc()) continue;
      if (next === '"') closing.push('"');
      else if (next === closing.at(-1)) closing.pop();
      else if (CLOSING[next] !== undefined) closing.push(CLOSING[next]);
      this.advance(1);
    }
  }

  /** One step inside quotes; what closes a template that begins here. */
  private inQuotes(next: string): string | undefined {
    const pair = this.text.slice(this.offset, this.offset + 3);
    if (pair === "$${" || pair === "%%{") this.advance(3);
    else if (next === "\\") this.advance(2);
    else if (pair.startsWith("${") || pair.startsWith("%{")) {
      this.advance(2);
      return "}";
    } else this.advance(1);
    return undefined;
  }

  private skipHeredoc(): boolean {
    const marker = this.match(HEREDOC)?.[1];
    if (marker === undefined) return false;
    while (this.offset < this.text.length) {
      const end = this.text.indexOf("\n", this.offset);
      const last = end < 0 ? this.text.length : end;
      const found = this.text.slice(this.offset, last).trim();
      // The line break behind the marker ends the expression.
      this.advance((found === marker ? last : last + 1) - this.offset);
      if (found === marker) break;
    }
    return true;
  }

  private skipComment(): boolean {
    const two = this.text.slice(this.offset, this.offset + 2);
    if (two === "/*") {
      const end = this.text.indexOf("*/", this.offset + 2);
      this.advance((end < 0 ? this.text.length : end + 2) - this.offset);
      return true;
    }
    if (two !== "//" && two[0] !== "#") return false;
    const end = this.text.indexOf("\n", this.offset);
    this.advance((end < 0 ? this.text.length : end) - this.offset);
    return true;
  }

  /** Blanks and comments, and line breaks if they do not end anything. Whether text is left. */
  private skipBlanks(breaks: boolean): boolean {
    for (;;) {
      const next = this.peek();
      if (next === " " || next === "\t" || next === "\r" || (breaks && next === "\n")) this.advance(1);
      else if (!this.skipComment()) return this.offset < this.text.length;
    }
  }

  private match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.text);
    if (found !== null) this.advance(found[0].length);
    return found ?? undefined;
  }

  private peek(): string {
    return this.text[this.offset] ?? "";
  }

  private advance(characters: number): void {
    const end = Math.min(this.offset + characters, this.text.length);
    for (; this.offset < end; this.offset++) if (this.text.charCodeAt(this.offset) === 10) this.line++;
  }
}

// Texts of agents on a page. Goal: every character of them is there, visible, and cannot become markup or move what stands around it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { html } from "../../approval/pages/html.ts";
import { lookalikeHints } from "../../approval/pages/lookalikes.ts";
import { countMarked, firstCharacters, markText } from "../../approval/pages/marks.ts";
import { showValue, surveyValue } from "../../approval/pages/value.ts";
import { canonicalText, type JsonNode, parseCanonical } from "../../src/approval/canonical.ts";

const LABELS: Readonly<Record<string, string>> = { LF: "\n", CR: "\r", TAB: "\t" };
const MARK = /<span class="mark" title="[^"<>]*">(LF|CR|TAB|U\+[0-9A-F]{4,6})(?: × (\d+))?<\/span>(\n?)/g;

/** The text that a piece of HTML stands for: marks turned back into characters, escapes undone. */
function readBack(markup: string): string {
  const inner = /^<bdi dir="ltr" class="text">(.*)<\/bdi>$/s.exec(markup)?.[1] ?? "?";
  const text = inner.replaceAll(MARK, (_all, label: string, count = "1") => {
    const character = LABELS[label] ?? String.fromCodePoint(Number.parseInt(label.slice(2), 16));
    // Behind an escape, which no text has: so that `&` and `<` that come from marks stay what they are.
    return [...character.repeat(Number(count))].map((one) => `&#x${one.codePointAt(0)?.toString(16)};`).join("");
  });
  expect(text).not.toMatch(/[<>"']/);
  return text.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/g, (_all, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return { amp: "&", lt: "<", gt: ">", quot: '"' }[name ?? ""] ?? "?";
  });
}

/** What is drawn of a piece of HTML beside its marks. */
function drawn(markup: string): string {
  return markup.replaceAll(MARK, "");
}

const SPECIAL_TEXT = fc.string({
  unit: fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    fc.constantFrom(..."<>&\"'`\n\t\r  \u202e\u2066\u200b\u0301\u{e0041}\ufe0f=U+LF×"),
  ),
  maxLength: 40,
});

describe("a text with marks", () => {
  test("can be read back, whatever stands in it", () => {
    fc.assert(
      fc.property(SPECIAL_TEXT, (text) => readBack(markText(text).text) === text),
      { numRuns: 3_000 },
    );
  });

  test("draws nothing that is not seen or that moves something", () => {
    const hidden = /(?! )[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]| {9}/u;
    fc.assert(
      fc.property(SPECIAL_TEXT, (text) => !hidden.test(drawn(markText(text).text))),
      { numRuns: 3_000 },
    );
  });

  test.each([
    ["an override", "a\u202eb", "U+202E", "right-to-left override"],
    ["an isolate", "a\u2067b", "U+2067", "right-to-left isolate"],
    ["a zero width space", "a\u200bb", "U+200B", "zero width space"],
    ["a byte order mark", "\ufeffa", "U+FEFF", "zero width no-break space"],
    ["a tag", "a\u{e0041}b", "U+E0041", "U+E0041"],
    ["a variation selector", "a\u{e0100}b", "U+E0100", "U+E0100"],
    ["a filler", "a\u3164b", "U+3164", "Hangul filler"],
    ["a no-break space", "a\u00a0b", "U+00A0", "no-break space"],
    ["a control of terminals", "a\u001b[31mb", "U+001B", "escape"],
    ["DEL", "a\u007fb", "U+007F", "delete"],
    ["a line separator", "a\u2028b", "U+2028", "line separator"],
    ["a private character", "a\ue000b", "U+E000", "U+E000"],
    ["an unassigned character", "a\u0378b", "U+0378", "U+0378"],
    ["an empty Braille pattern", "a\u2800b", "U+2800", "U+2800"],
    ["a combining mark without a letter", "\u0301a", "U+0301", "U+0301"],
  ])("shows %s by its number", (_what, text, label, title) => {
    const { text: markup } = markText(text);
    expect(markup).toContain(`>${label}</span>`);
    expect(markup).toContain(title);
    expect(countMarked(text)).toBe(1);
  });

  test("counts runs instead of drawing them", () => {
    expect(markText(`a${" ".repeat(400)}b`).text).toContain(">U+0020 × 400</span>b");
    expect(markText(`a${"\n".repeat(400)}b`).text).toContain(">LF × 400</span>\nb");
    expect(markText("a  b").text).toContain("a  b");
  });

  test("leaves letters alone that carry what their language has", () => {
    for (const text of ["Zürich", "Tiếng Việt", "ภาษาไทยที่", "नमस्ते", "שָׁלוֹם", "日本語", "é"]) {
      expect(countMarked(text), text).toBe(0);
    }
    expect(countMarked(`Z${"\u0300".repeat(6)}`)).toBe(6);
  });
});

describe("a template", () => {
  test("escapes text in text and in attributes, and takes pieces over", () => {
    const nasty = `<img src=x onerror="alert('1')">&\``;
    const escaped = "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;&#96;";
    expect(
      html`<p title="${nasty}">${nasty}${html`<b>${1}</b>`}${[nasty, html`<i></i>`]}${undefined}${false}</p>`.text,
    ).toBe(`<p title="${escaped}">${escaped}<b>1</b>${escaped}<i></i></p>`);
  });
});

describe("hints", () => {
  test.each([
    ["pаypal", "letters of several alphabets in one word: Latin, Cyrillic"],
    ["αdmin", "letters of several alphabets in one word: Latin, Greek"],
    ["сору", "Cyrillic letters that look like Latin ones"],
    ["ｍain", "characters that look like ASCII and are not"],
    ["𝐦ain", "characters that look like ASCII and are not"],
  ])("are given for %s", (text, hint) => {
    expect(lookalikeHints(text)).toContain(hint);
  });

  test.each(["main", "Ελλάδα", "Москва", "Zürich and Москва", "日本語", "naïve café", "№ 5 … ½"])(
    "are not given for %s",
    (text) => {
      expect(lookalikeHints(text).filter((hint) => hint.includes("letters"))).toEqual([]);
    },
  );
});

describe("a value", () => {
  const show = (text: string) => showValue(parseCanonical(text)).text;

  test("keeps the spelling of numbers, and tells them from texts", () => {
    expect(show("1.0")).toBe('<code class="number">1.0</code>');
    expect(show("1e999")).toBe('<code class="number">1e999</code>');
    expect(show("12345678901234567890")).toContain(">12345678901234567890<");
    expect(show('"1.0"')).toMatch(/class="string">.*1\.0.*<span class="kind">text<\/span>/);
    expect(show('"null"')).toMatch(/<span class="kind">text<\/span>/);
    expect(show('"plain"')).not.toMatch(/kind/);
  });

  test("has names in a box that could be taken for more than names", () => {
    expect(show('{"dry_run":1}')).not.toContain('class="string"');
    expect(show('{"dry_run: true":1}')).toContain('class="string"');
    expect(show('{"":1}')).toContain("empty name");
  });

  test("folds long texts and has all of them all the same", () => {
    const long = "word ".repeat(100).concat("the end");
    const markup = show(JSON.stringify(long));
    expect(markup).toContain("Text of 507 characters in 1 line.");
    expect(markup).toContain(long);
    expect(surveyValue(parseCanonical(JSON.stringify([long, "short"])))).toEqual({ folded: 1, marked: 0, doubtful: 0 });
    expect(show(JSON.stringify("x".repeat(400)))).not.toContain("<details");
    const lines = "a\n".repeat(20);
    expect(show(JSON.stringify(lines))).toContain("Text of 40 characters in 21 lines.");
  });

  test("has every name and every text of any value", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
    const tree = fc.letrec<{ node: JsonNode }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        text.map((value): JsonNode => ({ kind: "string", value })),
        fc.constantFrom("0", "-1.50", "1E5").map((spelling): JsonNode => ({ kind: "number", text: spelling })),
        fc.array(tie("node"), { maxLength: 4 }).map((elements): JsonNode => ({ kind: "array", elements })),
        fc
          .uniqueArray(fc.tuple(text, tie("node")), { maxLength: 4, selector: ([name]) => name })
          .map((members): JsonNode => ({ kind: "object", members: members.map(([name, value]) => ({ name, value })) })),
      ),
    })).node;
    const textsOf = (node: JsonNode): string[] => {
      if (node.kind === "object") return node.members.flatMap(({ name, value }) => [name, ...textsOf(value)]);
      if (node.kind === "array") return node.elements.flatMap(textsOf);
      return [node.kind === "string" ? node.value : node.text];
    };
    fc.assert(
      fc.property(tree, (node) => {
        const canonical = parseCanonical(canonicalText(node));
        const markup = showValue(canonical).text;
        const shown = [...markup.matchAll(/<bdi .*?<\/bdi>|<code class="number">.*?<\/code>/gs)].map(([piece]) =>
          piece.startsWith("<code") ? piece.replaceAll(/<[^>]+>/g, "") : readBack(piece),
        );
        expect(shown).toEqual(textsOf(canonical));
      }),
      { numRuns: 200 },
    );
  });

  test("nested as deep as it may be is shown", () => {
    expect(show(`${"[".repeat(64)}${"]".repeat(64)}`)).toContain("empty list");
  });

  test("never ends in the middle of a character", () => {
    expect(firstCharacters("a😀b", 2)).toBe("a😀");
  });
});

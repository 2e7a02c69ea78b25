// Names of tools, prompts and methods that no server could have, or that are not the ones that were meant.
import { hasHidden } from "../audit/visible.ts";
import { placeBeside, type Told } from "./finding.ts";
import { listedNames } from "./listed.ts";
import { quoted } from "./schema.ts";
import type { Name, View } from "./view.ts";

/** MCP 2025-11-25 and 2026-07-28, "Tool Names": letters, digits and `_` `-` `.`, 1 to 128 characters. */
const TOOL_NAME = /^[A-Za-z0-9_.-]+$/;
const TOOL_NAME_LENGTH_MAX = 128;

/** What the tools, prompts and methods are told. */
export function nameFindings(policy: View): Told[] {
  const tools = listedNames(policy, "tool_allowlist");
  const prompts = listedNames(policy, "prompt_allowlist");
  return [
    ...tools.flatMap(characterFindings),
    ...tools.flatMap(toolNameFindings),
    ...prompts.flatMap(characterFindings),
    ...alikeFindings(tools, "tool"),
    ...alikeFindings(prompts, "prompt"),
  ];
}

/** What holds for every name. */
function characterFindings({ text, path }: Name): Told[] {
  const told: Told[] = [];
  if (hasHidden(text.trim())) {
    const what = `found ${quoted(text)}, which has characters that nobody sees`;
    told.push({ rule: "name-hidden", path, what, expected: "the name as the server announces it", mend: "type it" });
  }
  if (text.trim() !== text) {
    const mend = text.trim() === "" ? "take it out" : `write ${quoted(text.trim())}`;
    const what = `found ${quoted(text)}, with white space around it`;
    told.push({ rule: "name-space", path, what, expected: "the name alone: every byte counts", mend });
  }
  if (isPattern(text)) {
    const what = `found ${quoted(text)}, which looks like a pattern`;
    const expected = "an exact name: a star is a letter like any other";
    told.push({ rule: "name-wildcard", path, what, expected, mend: "list each name" });
  }
  const scripts = scriptsOf(text);
  if (scripts.length > 1) {
    const what = `found ${quoted(text)}, with letters that are ${scripts.join(" and ")}`;
    told.push({ rule: "name-scripts", path, what, expected: "letters of one script", mend: "type the name anew" });
  }
  return told;
}

/** A star anywhere, a regular expression's anchors, or its `.+` and `\w`. */
export function isPattern(text: string): boolean {
  return /[*]|^\^|\$$|\.\+|\\[wdsb]|\?$/.test(text);
}

/** What MCP asks of tools alone; what has been told of a name for another reason is not told again. */
function toolNameFindings({ text, path }: Name): Told[] {
  const told: Told[] = [];
  const characters = [...text].length;
  if (characters > TOOL_NAME_LENGTH_MAX) {
    const what = `found a name of ${characters} characters`;
    told.push({ rule: "name-length", path, what, expected: `at most ${TOOL_NAME_LENGTH_MAX} (MCP, tool names)` });
  }
  const isTold = hasHidden(text) || text.trim() !== text || isPattern(text) || scriptsOf(text).length > 1;
  if (!TOOL_NAME.test(text) && text !== "" && !isTold) {
    const wrong = [...new Set([...text].filter((character) => !TOOL_NAME.test(character)))].slice(0, 4);
    const what = `found ${quoted(text)} with ${wrong.map(quoted).join(" ")}`;
    const expected = "letters, digits, and _ - . (MCP, tool names)";
    const mend = "compare it with what the server announces";
    told.push({ rule: "name-characters", path, what, expected, mend });
  }
  return told;
}

/** The scripts that have letters which are taken for one another. */
const SCRIPTS: readonly (readonly [string, RegExp])[] = [
  ["Latin", /\p{Script=Latin}/u],
  ["Greek", /\p{Script=Greek}/u],
  ["Cyrillic", /\p{Script=Cyrillic}/u],
  ["Armenian", /\p{Script=Armenian}/u],
  ["Cherokee", /\p{Script=Cherokee}/u],
  ["Coptic", /\p{Script=Coptic}/u],
  ["Lisu", /\p{Script=Lisu}/u],
];

function scriptsOf(text: string): string[] {
  return SCRIPTS.filter(([, letters]) => letters.test(text)).map(([script]) => script);
}

/** Letters that look like Latin ones or like digits (Unicode TS #39, the usual ones). */
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  ...pairs("авекмнорстухіјѕԁԛԝһӏ", "abekmhopctyxijsdqwhl"),
  ...pairs("АВЕКМНОРСТУХІЈЅ", "ABEKMHOPCTYXlJS"),
  ...pairs("αβεικνορτυχως", "abeikvoptuxwc"),
  ...pairs("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHlKMNOPTYX"),
  ...pairs("օսհ", "ouh"),
  ...pairs("1I|ı0", "llliO"),
};

function pairs(from: string, to: string): Record<string, string> {
  const targets = [...to];
  return Object.fromEntries([...from].map((letter, index) => [letter, targets[index] ?? letter]));
}

/** Two names whose letters look the same, or are the same but for their case, their form (NFKC) or what nobody sees. */
function alikeFindings(names: readonly Name[], kind: string): Told[] {
  const told: Told[] = [];
  const seen = new Map<string, Name>();
  for (const name of names) {
    const plain = name.text.normalize("NFKC").replaceAll(/[\p{Default_Ignorable_Code_Point}\p{Cc}\s]/gu, "");
    const keys = [`fold ${plain.toLowerCase()}`, `look ${lookOf(plain)}`];
    const other = keys.map((key) => seen.get(key)).find((found) => found !== undefined && found.text !== name.text);
    if (other !== undefined) {
      const what = `found ${quoted(name.text)}, which looks like ${quoted(other.text)} at ${placeBeside(other.path, name.path)}`;
      const expected = `${kind} names that nobody takes for one another`;
      told.push({
        rule: "name-alike",
        path: name.path,
        what,
        expected,
        mend: "keep the one that the server announces",
      });
    }
    for (const key of keys) if (!seen.has(key)) seen.set(key, name);
  }
  return told;
}

function lookOf(text: string): string {
  return [...text]
    .map((letter) => LOOK_ALIKES[letter] ?? letter)
    .join("")
    .toLowerCase();
}

// Which tools a human must approve, as the filter sees it (assembly/policy/flagged.ts; schema/flagged-names.json is the table that both are held to).

/** The member `approval`, as far as flags hang on it. */
export interface ApprovalMember {
  readonly mode?: unknown;
  readonly tools?: readonly string[];
  readonly exempt?: readonly string[];
}

const PREFIXES = ["delete", "update", "execute"];
/** Where a letter follows what is none, a capital a small letter, or the last of several capitals comes before a small letter. */
const WORD_STARTS = /(?<![A-Za-z])(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;

/** Whether a call of the tool needs a human's approval. */
export function isFlagged(tool: string, approval: ApprovalMember = {}): boolean {
  if (approval.exempt?.includes(tool)) return false;
  return approval.tools?.includes(tool) === true || hasFlaggedWord(tool);
}

/** Whether a word of the name begins with `delete`, `update` or `execute`, in any letter case. */
export function hasFlaggedWord(tool: string): boolean {
  let rest = tool;
  for (const word of tool.split(WORD_STARTS)) {
    // A word can go on behind a boundary: deLete is one.
    if (PREFIXES.some((prefix) => rest.slice(0, prefix.length).toLowerCase() === prefix)) return true;
    rest = rest.slice(word.length);
  }
  return false;
}

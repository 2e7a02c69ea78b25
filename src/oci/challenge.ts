// The WWW-Authenticate header: `1#challenge` of RFC 9110, sections 11.3 and 11.6.1.

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Parameter names in lower case; of a repeated one the first counts. */
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const TOKEN68 = "[A-Za-z0-9._~+/-]+=*";
const SCHEME = new RegExp(`(${TOKEN})(?: +(?:(${TOKEN68})(?=\\s*(?:,|$)))?)?`, "y");
const PARAMETER = new RegExp(`(${TOKEN})\\s*=\\s*(?:"((?:\\\\.|[^"\\\\])*)"|(${TOKEN}))`, "y");
const SEPARATOR = /[\s,]*/y;

/** A registry that sends more than this is not read further. */
const HEADER_LENGTH_MAX = 8192;

/**
 * The challenges of a response, in its order. What cannot be read ends the list: a half-understood challenge is none.
 * @param headers the values of all WWW-Authenticate fields.
 */
export function parseChallenges(headers: readonly string[]): Challenge[] {
  const text = headers.join(", ").slice(0, HEADER_LENGTH_MAX);
  const challenges: Challenge[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  take(SEPARATOR);
  while (at < text.length) {
    const scheme = take(SCHEME);
    if (scheme === null) break;
    const parameters: Record<string, string> = {};
    for (;;) {
      take(SEPARATOR);
      const parameter = take(PARAMETER);
      if (parameter === null) break;
      const [, name = "", quoted, plain = ""] = parameter;
      const key = name.toLowerCase();
      if (!Object.hasOwn(parameters, key)) parameters[key] = quoted?.replaceAll(/\\(.)/g, "$1") ?? plain;
    }
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters });
  }
  return challenges;
}

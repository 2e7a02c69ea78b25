// The reference rules for URIs, URI templates and paths: slow, on whole strings, one rule after the other. What is
// refused is what some server could read as a way out of the folder that it serves, in whatever way it decodes, trims or
// normalises (RFC 3986 sections 5.2.4 and 6.2.2, the WHATWG URL standard, path joins of operating systems).

export type UriReason = "uri_traversal" | "uri_malformed";

/** `literal`: two dots are refused wherever they stand. `segment`: only where a whole segment or token is dots. */
export type UriTraversal = "literal" | "segment";

/** A template (RFC 6570) may have braces; a path may be relative, with spaces, backslashes and single dots. */
export type UriForm = "uri" | "template" | "path";

/** What readers trim, or draw as nothing. */
const TRIMMED = /[\s\0-\x20\u00ad\u200b-\u200d\u2060\ufeff]/;

const BYTES_MAX = 4096;
const ROUNDS = 3;

/** Every reason for which the text is refused by the rules alone, whatever the roots say; empty if it passes. */
export function uriFaults(text: string, traversal: UriTraversal, form: UriForm): Set<UriReason> {
  return new Set(findFaults(text, traversal, form));
}

function* findFaults(text: string, traversal: UriTraversal, form: UriForm): Generator<UriReason> {
  if (text === "" || Buffer.byteLength(text, "utf8") > BYTES_MAX) {
    yield "uri_malformed";
    return;
  }
  // Readers trim: the WHATWG standard C0 and space, String.prototype.trim and str.strip all white space.
  if (new RegExp(`^${TRIMMED.source}|${TRIMMED.source}$`, "u").test(text)) yield "uri_malformed";
  if (form !== "path") yield* structureFaults(text, form);

  const { readings, isText, settles } = decodings(text);
  if (!isText) yield "uri_malformed";
  if (!settles) yield "uri_traversal";
  for (const reading of readings) {
    if ([...reading].some((character) => character < " " || character === "\u007f")) yield "uri_malformed";
    if (traversal === "literal" && reading.includes("..")) yield "uri_traversal";
    if (hasDotToken(asDrawn(reading), form)) yield "uri_traversal";
  }
}

/** The text as it stands, and after each round of decoding that changes it. */
function decodings(text: string): { readings: string[]; isText: boolean; settles: boolean } {
  const readings = [text];
  for (let round = 1; round <= ROUNDS; round++) {
    const before = readings.at(-1)!;
    const after = decode(before);
    if (after === undefined) return { readings, isText: false, settles: true };
    if (after === before) return { readings, isText: true, settles: true };
    readings.push(after);
  }
  return { readings, isText: true, settles: !/%[0-9a-f]{2}/i.test(readings.at(-1)!) };
}

/** The text with each `%XX` replaced by its byte, or nothing when that is no UTF-8. */
function decode(text: string): string | undefined {
  const bytes = Buffer.from(text, "utf8").toString("latin1");
  const decoded = bytes.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(decoded, "latin1"));
  } catch {
    return undefined;
  }
}

/** Look-alikes as what they look like, and without what cannot be seen. */
function asDrawn(text: string): string {
  return text
    .replace(/[\u2024\ufe52\uff0e]/g, ".")
    .replace(/[\u2025\ufe30]/g, "..")
    .replace(/[\u2026\ufe19]/g, "...")
    .replace(/[\\\uff0f\u2044\u2215\u29f8\uff3c\u2216\ufe68]/g, "/")
    .replace(/\u00ad|\u200b|\u200c|\u200d|\u2060|\ufeff/g, "");
}

/**
 * Whether a token is nothing but two dots or more, spaces not counted, or a path segment nothing but one. A single dot
 * climbs nowhere, but it is a second spelling of the same URI; paths may have it.
 */
function hasDotToken(text: string, form: UriForm): boolean {
  const [...parts] = text.replace(/[^\S\t-\r]/g, "").split(/([/?#&=;:@,{}])/);
  return parts.some(
    (part, index) => /^\.{2,}$/.test(part) || (form !== "path" && part === "." && parts[index - 1] === "/"),
  );
}

function* structureFaults(text: string, form: UriForm): Generator<UriReason> {
  // What RFC 3986 section 2 does not allow; braces stand in templates only.
  if (/["<>\\^`|\0- \x7f]/.test(text) || (form === "uri" && /[{}]/.test(text))) yield "uri_malformed";
  if (/%(?![0-9a-f]{2})/i.test(text)) yield "uri_malformed";

  const parts = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)/.exec(text);
  if (parts === null) {
    yield "uri_malformed";
    return;
  }
  const [, scheme, authority, path = ""] = parts;
  if (scheme === "file" && !(authority === "" && path.startsWith("/"))) yield "uri_malformed";
  if (authority?.includes("@")) yield "uri_malformed";
  if (path.includes("//")) yield "uri_malformed";
  // A server that cuts the path first and decodes later joins `/etc` to its folder, and many a join then starts at the
  // root of the file system.
  const [, ...segments] = path.split("/");
  if (segments.some(beginsWithSlash)) yield "uri_malformed";
}

/** Whether the text begins with a separator, in whatever round of decoding. */
export function beginsWithSlash(text: string): boolean {
  return decodings(text).readings.some((reading) => /^[/\\]/.test(reading));
}

/** Whether a URI that the rules let pass is the root or stands below it, segment by segment, in the one normal spelling. */
export function isUnderRoot(root: string, uri: string): boolean {
  if (!uri.startsWith(root)) return false;
  const rest = uri.slice(root.length);
  const [pathRest = ""] = rest.split(/[?#]/);
  // RFC 3986 section 6.2.2.2: what needs no encoding has none.
  const encoded = [...pathRest.matchAll(/%([0-9a-f]{2})/gi)].map(([, digits]) =>
    String.fromCharCode(Number.parseInt(digits!, 16)),
  );
  if (encoded.some((character) => /[A-Za-z0-9._~-]/.test(character))) return false;
  if (isSystemPath(uri) && !isSystemPath(root)) return false;
  // A join on Windows goes to the drive that a segment names.
  const isDrive = (segment: string): boolean => /^[A-Za-z](?::|%3a)/i.test(segment);
  const [begun = "", ...segments] = pathRest.split("/");
  if (/^file:/.test(uri) && (segments.some(isDrive) || (root.endsWith("/") && isDrive(begun)))) return false;
  if (rest === "" || root.endsWith("/") || /^[/?#]/.test(rest)) return true;
  return !/^[^:]*:\/\//.test(root) && (root.endsWith(":") || rest.startsWith(":"));
}

/** What the kernel shows of itself and of open files, however its slashes are spelled. */
function isSystemPath(uri: string): boolean {
  return decodings(uri).readings.some((reading) => /^file:\/\/\/(?:proc|sys|dev\/fd)(?:[/?#]|$)/.test(reading));
}

/** Whether everything that a template can become stands under the root, its values being held to the rules. */
export function isTemplateUnderRoot(root: string, template: string): boolean {
  const [literal = ""] = template.split("{");
  if (literal === template) return isUnderRoot(root, template);
  return isUnderRoot(root, literal) && (literal !== root || /[/:]$/.test(root));
}

/** Whether a path that the rules let pass is the root or stands below it. */
export function isPathUnderRoot(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`);
}

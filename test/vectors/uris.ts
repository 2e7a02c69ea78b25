// What is tried with URIs, class by class: the ways out of the folder under a root, spelled for readers that decode, trim,
// normalise or look at characters differently, and beside them the URIs that a guard must let pass.

import type { RequestPolicy, RequestReason } from "../oracle/exchange.ts";
import { bytes } from "./bytes.ts";
import { type Changes, pass, refuse, type ThreatVector } from "./threat.ts";

type Traversal = "literal" | "segment";

const DOCS = "file:///docs/";
const under = (...roots: readonly string[]): RequestPolicy => ({ tool_allowlist: ["safe"], resource_roots: roots });
const inMode = (policy: RequestPolicy, traversal: Traversal): Changes => ({
  policy: traversal === "literal" ? policy : { ...policy, uri_traversal: traversal },
});

const message = (method: string, params: unknown): Uint8Array =>
  bytes(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));

const read = (uri: string): Uint8Array => message("resources/read", { uri });

/** The places where a URI enters besides `resources/read`. */
export const URI_ENTRIES: Readonly<Record<string, (uri: string) => Uint8Array>> = {
  "resources/read": read,
  "resources/subscribe": (uri) => message("resources/subscribe", { uri }),
  "resources/unsubscribe": (uri) => message("resources/unsubscribe", { uri }),
  "completion/complete": (uri) =>
    message("completion/complete", { ref: { type: "ref/resource", uri }, argument: { name: "x", value: "v" } }),
  "completion/complete, the ref last": (uri) =>
    message("completion/complete", { argument: { name: "x", value: "v" }, ref: { uri, type: "ref/resource" } }),
  "subscriptions/listen": (uri) => message("subscriptions/listen", { notifications: { resourceSubscriptions: [uri] } }),
  "subscriptions/listen, the second of three": (uri) =>
    message("subscriptions/listen", {
      notifications: { resourceSubscriptions: ["file:///docs/a", uri, "file:///docs/b"] },
    }),
};

/** Classes of input that every mode refuses: the row, the reasons of the class, and its spellings behind the root DOCS. */
interface UriClass {
  readonly row: 20 | 21 | 22 | 45;
  readonly reasons: readonly RequestReason[];
  readonly uris: readonly string[];
}

const TRAVERSAL = ["uri_traversal"] as const;
const MALFORMED = ["uri_malformed"] as const;
const BOTH = ["uri_malformed", "uri_traversal"] as const;
const UNLISTED = ["resource_not_listed"] as const;

const behindRoot = (...rests: readonly string[]): readonly string[] => rests.map((rest) => DOCS + rest);

export const URI_CLASSES: Readonly<Record<string, UriClass>> = {
  "dot segments": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("../etc/passwd", "..", "a/../../etc", "a/..", "a/../b"),
  },
  "percent-encoded dots": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("%2e%2e/etc", "%2E%2e/etc", "%2E%2E/etc", ".%2e/etc", "%2e./etc", ".%2E", "%2e%2e"),
  },
  "dots encoded twice and more often": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("%252e%252e/etc", "%2e%252e/etc", ".%252e/etc", "%25252e%25252e/etc", "%25%32%65%25%32%65/etc"),
  },
  "encoded more often than anybody decodes": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("%2525252e%2525252e/etc", "%2525252541", "a%25252525"),
  },
  "encoded separators": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot(
      "..%2fetc",
      "..%2Fetc",
      "..%5cetc",
      "..%5Cetc",
      "%2e%2e%2fetc",
      "%2e%2e%5cetc",
      "a%2f..%2f..%2fetc",
      "..%252fetc",
    ),
  },
  backslashes: { row: 20, reasons: BOTH, uris: behindRoot("..\\etc", "a\\..\\..\\etc", "\\..\\etc") },
  "path parameters": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("..;/etc", "..;x=1/etc", "%2e%2e;/etc", "..;", ".;/a"),
  },
  "filters that remove once": { row: 20, reasons: TRAVERSAL, uris: behindRoot(".../etc", "..../etc", ".....", "...") },
  "filters that remove once, doubled separators": {
    row: 20,
    reasons: BOTH,
    uris: behindRoot("....//etc", "..//..//etc"),
  },
  "trailing spaces that Windows strips": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("..%20/etc", "..%20%20", "%2e%2e%20/etc"),
  },
  "dot segments in query and fragment": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("a?y=../../etc", "a?y=%2e%2e/etc", "a?..", "a#../../etc", "a#..", "a?x=1&y=..", "a?y=/..;z"),
  },
  "dot segments in the authority and in opaque paths": {
    row: 20,
    reasons: TRAVERSAL,
    uris: ["mcp://../docs/a", "mcp://%2e%2e/docs", "custom:a/../b", "custom:..", "urn:x:../b", "urn:..:b", "data:..,x"],
  },
  "single-dot segments": {
    row: 20,
    reasons: TRAVERSAL,
    uris: behindRoot("./a", ".", "a/./b", "a/.", "%2e/a", "a/%2e", "a?x=/.", ".?x", ".#x"),
  },

  "controls between the dots": {
    row: 21,
    reasons: MALFORMED,
    uris: behindRoot(".\t./etc", ".\n./etc", ".\r./etc", "%2e\t%2e/etc", ".\0./etc", ".\u001f./etc", ".\u007f./etc"),
  },
  "controls elsewhere": {
    row: 21,
    reasons: MALFORMED,
    uris: ["fi\tle:///docs/a", "file:\n///docs/a", "file:///do\rcs/a", ...behindRoot("a\0.txt", "a\u001bb", "a\u007f")],
  },
  "encoded controls": {
    row: 21,
    reasons: MALFORMED,
    uris: behindRoot(
      "a%00.txt",
      "a%09b",
      "a%0ab",
      "a%0db",
      "a%7f",
      "a%1F",
      ".%09./etc",
      "a%2500",
      "a%25250a",
      "a?x=%00",
      "a#%0d%0a",
    ),
  },
  "white space around": {
    row: 21,
    reasons: MALFORMED,
    uris: [
      " file:///docs/a",
      "\0file:///docs/a",
      "\u001ffile:///docs/a",
      ...behindRoot("a ", "a\0", "a\t", "a\u00a0", "a\u3000", "a\ufeff"),
    ],
  },
  "raw spaces": { row: 21, reasons: MALFORMED, uris: behindRoot("a b", "a?q=a b", "a#b c") },
  "a space before the slash": { row: 21, reasons: BOTH, uris: behindRoot(".. /etc", ".. ") },

  "schemes in other spellings": {
    row: 22,
    reasons: MALFORMED,
    uris: [
      "FILE:///docs/a",
      "File:///docs/a",
      "file:/docs/a",
      "file:docs/a",
      "file:",
      "file:///docs/a".replace("f", "\u017f"),
    ],
  },
  "file URIs with an authority": {
    row: 22,
    reasons: MALFORMED,
    uris: [
      "file://localhost/docs/a",
      "file://LOCALHOST/docs/a",
      "file://host/share",
      "file://127.0.0.1/docs/a",
      "file://",
    ],
  },
  "empty segments": {
    row: 22,
    reasons: MALFORMED,
    uris: ["file:////etc/passwd", "file:////docs/a", "file://///etc", ...behindRoot("/etc/passwd", "a//b", "a//")],
  },
  "encoded separators at the start of a segment": {
    row: 22,
    reasons: MALFORMED,
    uris: behindRoot("%2fetc/passwd", "%2Fetc", "a/%2fetc", "%5cetc", "%5c%5chost%5cshare", "%252fetc", "%2f%2fetc"),
  },
  "user information": {
    row: 22,
    reasons: MALFORMED,
    uris: ["file://u:p@h/x", "https://h@evil.example/", "https://u@h/p", "https://@h/"],
  },
  "Windows spellings": {
    row: 22,
    reasons: MALFORMED,
    uris: ["file:///C|/x", "file:///docs/C|/x", "\\\\host\\share", "file:\\\\\\docs\\a", "file:///docs\\a"],
  },
  "relative references": {
    row: 22,
    reasons: MALFORMED,
    uris: ["/etc/passwd", "docs/a", "//host/docs/a", "?x", "#x", "", ":", "://docs/a"],
  },
  "relative references that climb": {
    row: 22,
    reasons: BOTH,
    uris: ["../../etc/passwd", "..", "./a/../b", "C:\\..\\x"],
  },
  "characters that no URI has": {
    row: 22,
    reasons: MALFORMED,
    uris: behindRoot('a"b', "a<b", "a>b", "a^b", "a`b", "a|b", "a\\b"),
  },
  "other places": {
    row: 22,
    reasons: UNLISTED,
    uris: [
      "http://169.254.169.254/",
      "http://[::1%25eth0]/",
      "file:///etc/passwd",
      "file:///C:/x",
      "file:///",
      "file:///docs",
      "file:///docs-evil/a",
      "file:///docsa",
      "file:///Docs/a",
      "file:///docs%2fa",
      "file:///%64ocs/a",
      "https://docs/a",
      "custom:///docs/a",
    ],
  },
  "unreserved characters encoded": {
    row: 22,
    reasons: UNLISTED,
    uris: behindRoot("%61", "a%2Eb", "%5f", "%7E", "a%2db", "%30"),
  },
  "a URI of 4,097 bytes": { row: 22, reasons: MALFORMED, uris: behindRoot("a".repeat(4097 - DOCS.length)) },

  "look-alikes of dots": {
    row: 45,
    reasons: TRAVERSAL,
    uris: behindRoot(
      "\u2025/etc",
      "\ufe30/etc",
      "\ufe19/etc",
      "..\u00a0/etc",
      "\uff0e\uff0e/etc",
      "\u2024\u2024/etc",
      "\ufe52\ufe52/etc",
      ".\uff0e/etc",
      "\u2024./etc",
      "\u2026/etc",
      "\u2025",
      "\uff0e/a",
    ),
  },
  "look-alikes of dots, encoded": {
    row: 45,
    reasons: TRAVERSAL,
    uris: behindRoot(
      "%e2%80%a5/etc",
      "%ef%bc%8e%ef%bc%8e/etc",
      "%E2%80%A4%E2%80%A4/etc",
      ".%ef%bc%8e",
      "%25e2%2580%25a5",
    ),
  },
  "drives behind the root": {
    row: 22,
    reasons: UNLISTED,
    uris: behindRoot("C:/Windows/win.ini", "a/c:", "a/C%3A/Windows", "z:x"),
  },
  "look-alikes of slashes": {
    row: 45,
    reasons: TRAVERSAL,
    uris: behindRoot(
      ..."\u2215\uff0f\u2044\u29f8\uff3c\u2216\ufe68".split("").map((slash) => `..${slash}etc`),
      "..%e2%88%95etc",
      "a%ef%bc%8f..",
    ),
  },
  "invisible characters": {
    row: 45,
    reasons: TRAVERSAL,
    uris: behindRoot(
      ..."\u00ad\u200b\u200c\u200d\u2060\ufeff".split("").map((invisible) => `.${invisible}./etc`),
      ".%c2%ad./etc",
      "\u200b../etc",
      ".%e2%80%8b.",
    ),
  },
  "encodings that are no UTF-8": {
    row: 45,
    reasons: MALFORMED,
    uris: behindRoot(
      "%c0%ae%c0%ae/etc",
      "%e0%80%ae%e0%80%ae",
      "%c1%9c",
      "%c0%af",
      "%ff",
      "%c3",
      "%ed%a0%80",
      "a?x=%c0%ae",
      "%25c0%25ae",
      "%f4%90%80%80",
    ),
  },
  "percent signs that encode nothing": {
    row: 45,
    reasons: MALFORMED,
    uris: behindRoot("%u002e%u002e/etc", "%zz", "%", "%2", "a%", "a%2", "%%32%65", "a%g0", "a?x=%"),
  },
};

const classVectors = (traversal: Traversal): readonly ThreatVector[] =>
  Object.entries(URI_CLASSES).flatMap(([name, { row, reasons, uris }]) =>
    uris.map((uri) =>
      refuse(row, `${name}, ${traversal}: ${spelled(uri)}`, read(uri), reasons, inMode(under(DOCS), traversal)),
    ),
  );

const spelled = (uri: string): string => {
  const text = JSON.stringify(uri);
  return text.length > 80 ? `${text.slice(0, 60)}...` : text;
};

/** One spelling of each kind, for the other entries. */
const SAMPLES: readonly string[] = [
  "file:///docs/../etc/passwd",
  "file:///docs/%2e%2e/etc",
  "file:///docs/%252e%252e/etc",
  "file:///docs/..%2fetc",
  "file:///docs/.\t./etc",
  "file:///docs/%00",
  "file:///docs/\uff0e\uff0e/etc",
  "file:///docs/%c0%ae%c0%ae/etc",
  "FILE:///docs/a",
  "file:////etc/passwd",
  "file:///docs/%2fetc/passwd",
  "../../etc/passwd",
  "http://169.254.169.254/",
  "file:///docs-evil/a",
  "file:///docs/%61",
];

const reasonsOf = (uri: string): readonly RequestReason[] =>
  Object.values(URI_CLASSES).find(({ uris }) => uris.includes(uri))?.reasons ??
  (/%00|\t|%c0|FILE|\/\/\/\//.test(uri) ? MALFORMED : TRAVERSAL);

const ENTRIES: readonly ThreatVector[] = Object.entries(URI_ENTRIES).flatMap(([entry, body]) => [
  ...(["literal", "segment"] as const).flatMap((traversal) =>
    SAMPLES.map((uri) =>
      refuse(23, `${entry}, ${traversal}: ${spelled(uri)}`, body(uri), reasonsOf(uri), inMode(under(DOCS), traversal)),
    ),
  ),
  refuse(23, `${entry} without roots`, body("file:///docs/../etc"), UNLISTED),
  refuse(23, `${entry} with empty roots`, body("file:///docs/a"), UNLISTED, { policy: under() }),
  pass(23, `${entry} of a listed resource`, body("file:///docs/a"), { policy: under(DOCS) }),
]);

const completion = (uri: string, value?: unknown): Uint8Array =>
  message("completion/complete", {
    ref: { type: "ref/resource", uri },
    argument: { name: "x", ...(value !== undefined && { value }) },
  });

const docs: Changes = { policy: under(DOCS) };

const TEMPLATES: readonly ThreatVector[] = [
  ...[
    "file:///docs/{x}",
    "file:///docs/{+path}",
    "file:///docs/a{x}",
    "file:///docs/{x}/now?y={y}",
    "file:///docs{/x}",
  ].map((uri) =>
    uri.includes("docs{")
      ? refuse(23, `the template ${uri} beside the root`, completion(uri, "v"), UNLISTED, docs)
      : pass(23, `the template ${uri}`, completion(uri, "v"), docs),
  ),
  pass(23, "a template without a value", completion("file:///docs/{x}"), docs),
  pass(23, "a template with an empty value", completion("file:///docs/{x}", ""), docs),
  ...["a b", "a/b", "a\\b", "./a", "\u00e9", "100%"].map((value) =>
    pass(23, `a template's value ${spelled(value)}`, completion("file:///docs/{+x}", value), docs),
  ),
  ...["..", "../etc", "..\\etc", "%2e%2e/etc", "a/../../etc", "\uff0e\uff0e/etc", "..;/etc"].map((value) =>
    refuse(23, `a template's value ${spelled(value)}`, completion("file:///docs/{+x}", value), "uri_traversal", docs),
  ),
  ...[".\t./etc", "a\0", "%00", " a", "%c0%ae"].map((value) =>
    refuse(23, `a template's value ${spelled(value)}`, completion("file:///docs/{+x}", value), "uri_malformed", docs),
  ),
  ...["{x}:///docs/a", "{+uri}"].map((uri) =>
    refuse(23, `the template ${uri}`, completion(uri, "v"), "uri_malformed", docs),
  ),
  ...["file:///{x}", "file:///do{x}", "file:///docs-{x}", "file:///{+path}"].map((uri) =>
    refuse(23, `the template ${uri}`, completion(uri, "v"), UNLISTED, docs),
  ),
  ...["file:///docs/.{x}", "file:///docs/..{x}", "file:///docs/{x}/../{y}", "file:///docs/%2e%2e/{x}"].map((uri) =>
    refuse(23, `the template ${uri}`, completion(uri, "v"), "uri_traversal", docs),
  ),
  refuse(23, "braces outside a template", read("file:///docs/{x}"), "uri_malformed", docs),
  refuse(23, "a value that is a number", completion("file:///docs/{x}", 1), "params_invalid", docs),
  refuse(
    23,
    "a list with one that is no string",
    message("subscriptions/listen", { notifications: { resourceSubscriptions: ["file:///docs/a", 1] } }),
    "params_invalid",
    docs,
  ),
  ...["resources/read", "resources/subscribe", "resources/unsubscribe"].flatMap((method) => [
    refuse(23, `${method} without a URI`, message(method, {}), "params_invalid", docs),
    refuse(23, `${method} of a list`, message(method, { uri: ["file:///docs/a"] }), "params_invalid", docs),
  ]),
];

const ANSWERS: readonly ThreatVector[] = (["literal", "segment"] as const).flatMap((traversal) => {
  const result = (...uris: readonly unknown[]): Uint8Array =>
    bytes(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { roots: uris.map((uri) => ({ uri, name: "r" })) } }));
  const responses = (uri: string): Uint8Array =>
    message("tools/call", { name: "safe", arguments: {}, inputResponses: { a: {}, b: { roots: [{ uri }] } } });
  const changes = inMode({ tool_allowlist: ["safe"] }, traversal);
  // Without an id there is nobody to answer: the status of such a refusal is not that of a request's.
  const refuseAnswer = (name: string, body: Uint8Array, reason: RequestReason): ThreatVector => {
    const { expect, ...vector } = refuse(23, `${name}, ${traversal}`, body, reason, changes);
    return { ...vector, expect: { verdict: expect.verdict, reasons: expect.reasons } };
  };
  return [
    pass(23, `a client's root, ${traversal}`, result("file:///home/me/x"), changes),
    pass(23, `a client's root that is a number, ${traversal}`, result(1), changes),
    pass(23, `no roots of a client, ${traversal}`, result(), changes),
    refuseAnswer("a client's root that climbs", result("file:///home/../etc"), "uri_traversal"),
    refuseAnswer("a client's second root that climbs", result("file:///home", "file:///%2e%2e"), "uri_traversal"),
    refuseAnswer("a client's root with a control", result("file:///home/%00"), "uri_malformed"),
    refuseAnswer("a client's root in capitals", result("FILE:///home"), "uri_malformed"),
    pass(23, `a root in an input response, ${traversal}`, responses("file:///home/me"), changes),
    refuse(
      23,
      `a root that climbs in an input response, ${traversal}`,
      responses("file:///a/../b"),
      "uri_traversal",
      changes,
    ),
    refuse(23, `a malformed root in an input response, ${traversal}`, responses("../b"), BOTH, changes),
  ];
});

const SYSTEM_PATHS: readonly ThreatVector[] = [
  ...[
    "file:///proc",
    "file:///proc/self/root/etc/passwd",
    "file:///proc/self/cwd",
    "file:///proc?x",
    "file:///sys/kernel",
    "file:///dev/fd/0",
    "file:///dev/fd",
    "file:///proc%2fself%2fenviron",
    "file:///dev%2ffd%2f0",
    "file:///dev/fd%2F0",
  ].map((uri) => refuse(22, `the root of the file system: ${uri}`, read(uri), UNLISTED, { policy: under("file:///") })),
  ...["file:///process/x", "file:///srv/proc/x", "file:///system", "file:///dev/fdx", "file:///etc/passwd"].map((uri) =>
    pass(22, `the root of the file system: ${uri}`, read(uri), { policy: under("file:///") }),
  ),
  pass(22, "a root in /proc", read("file:///proc/cpuinfo"), { policy: under("file:///", "file:///proc/cpuinfo") }),
  refuse(22, "beside a root in /proc", read("file:///proc/self"), UNLISTED, {
    policy: under("file:///", "file:///proc/cpuinfo"),
  }),
];

const ROOTS: readonly ThreatVector[] = [
  ...(
    [
      ["file:///srv/repos", "file:///srv/repos", true],
      ["file:///srv/repos", "file:///srv/repos/a", true],
      ["file:///srv/repos", "file:///srv/repos?x", true],
      ["file:///srv/repos", "file:///srv/repos#x", true],
      ["file:///srv/repos", "file:///srv/repos-evil", false],
      ["file:///srv/repos", "file:///srv/repos:x", false],
      ["file:///srv/repos", "file:///srv/repo", false],
      ["file:///srv/repos/", "file:///srv/repos", false],
      ["file:///srv/repos/", "file:///srv/repos/?x", true],
      ["mcp://logs", "mcp://logs:80/x", false],
      ["mcp://logs", "mcp://logs.evil/x", false],
      ["mcp://logs/", "mcp://logs/x", true],
      ["urn:isbn:", "urn:isbn:0451450523", true],
      ["urn:isbn", "urn:isbn:0451450523", true],
      ["urn:isbn:", "urn:issn:1", false],
      ["urn:isbn:04", "urn:isbn:0451450523", false],
      ["note:", "note:x", true],
      ["https://h:443/", "https://h:443/a", true],
      ["https://h:443/", "https://h:4433/a", false],
    ] as const
  ).map(([root, uri, isUnder]) =>
    isUnder
      ? pass(22, `${uri} under ${root}`, read(uri), { policy: under(root) })
      : refuse(22, `${uri} not under ${root}`, read(uri), UNLISTED, { policy: under(root) }),
  ),
  pass(22, "the second of two roots", read("mcp://logs/x"), { policy: under(DOCS, "mcp://logs/") }),
  pass(22, "a URI of 4,096 bytes", read(DOCS + "a".repeat(4096 - DOCS.length)), docs),
];

/** What must pass in both modes, each with its root. */
export const MUST_PASS: readonly (readonly [uri: string, root: string])[] = [
  ["file:///docs/a.b.c", DOCS],
  ["file:///docs/.hidden", DOCS],
  ["file:///docs/v1.2/", DOCS],
  ["file:///docs/100%25.txt", DOCS],
  ["file:///docs/na%C3%AFve.md", DOCS],
  ["file:///docs/na\u00efve.md", DOCS],
  ["gitlab://projects/group%2Fproject", "gitlab://projects/"],
  ["postgres://db/t?x=%2e", "postgres://db/"],
  ["file:///docs/Report\u2026.pdf", DOCS],
  ["file:///docs/Report%E2%80%A6.pdf", DOCS],
  ["urn:isbn:0451450523", "urn:isbn:"],
  ["custom://host/a;v=1/b", "custom://host/"],
  ["file:///docs/\u6587\u66f8/\u8aac\u660e.md", DOCS],
  ["file:///docs/%E6%96%87", DOCS],
  ["https://h/p?q=a%20b", "https://h/"],
  ["ui://app/index.html", "ui://app/"],
  ["file:///docs/a%2525b", DOCS],
  ["file:///docs/https%3A%2F%2Fh%2Fx", DOCS],
  ["file:///docs/a?u=http://h/x", DOCS],
];

const MUST_PASS_TEMPLATES: readonly (readonly [uri: string, root: string])[] = [
  ["weather://{city}/now", "weather://"],
  ["file:///docs/{name}.md", DOCS],
];

/** What the standard's literal rule refuses although it climbs nowhere: the price of that rule, and why `segment` exists. */
export const FALSE_POSITIVES: readonly (readonly [uri: string, root: string])[] = [
  ["repo://o/r/compare/v1..v2", "repo://o/"],
  ["git://h/r/main...feature", "git://h/"],
  ["file:///a/file...txt", "file:///a/"],
  ["note://x/and%20so%20on..", "note://x/"],
  ["file:///a/b..c", "file:///a/"],
  ["file:///a/b?range=1..5", "file:///a/"],
  ["file:///a/..hidden", "file:///a/"],
  ["file:///a/v1%2e%2ev2", "file:///a/"],
  ["file:///a/b?x=%252e.c", "file:///a/"],
];

const passUnder = (uri: string, root: string, traversal: Traversal): ThreatVector =>
  pass(46, `${uri}, ${traversal}`, read(uri), inMode(under(root), traversal));

const FALSE_ALARMS: readonly ThreatVector[] = [
  ...(["literal", "segment"] as const).flatMap((traversal) => [
    ...MUST_PASS.map(([uri, root]) => passUnder(uri, root, traversal)),
    ...MUST_PASS_TEMPLATES.map(([uri, root]) =>
      pass(46, `the template ${uri}, ${traversal}`, completion(uri, "v"), inMode(under(root), traversal)),
    ),
  ]),
  ...FALSE_POSITIVES.flatMap(([uri, root]) => [
    refuse(46, `${uri}, literal`, read(uri), "uri_traversal", inMode(under(root), "literal")),
    // An escape of an unreserved character in the path is not the normal spelling, whatever the mode.
    /^[^?]*%2e/i.test(uri)
      ? refuse(46, `${uri}, segment`, read(uri), "resource_not_listed", inMode(under(root), "segment"))
      : passUnder(uri, root, "segment"),
  ]),
  // The raw spaces of this one are refused in both modes.
  refuse(
    46,
    "note://x/and so on.., literal",
    read("note://x/and so on.."),
    BOTH,
    inMode(under("note://x/"), "literal"),
  ),
  refuse(
    46,
    "note://x/and so on.., segment",
    read("note://x/and so on.."),
    "uri_malformed",
    inMode(under("note://x/"), "segment"),
  ),
];

export const URI_THREATS: readonly ThreatVector[] = [
  ...classVectors("literal"),
  ...classVectors("segment"),
  ...ENTRIES,
  ...TEMPLATES,
  ...ANSWERS,
  ...SYSTEM_PATHS,
  ...ROOTS,
  ...FALSE_ALARMS,
];

// The rules of mcp-guard policy lint, one by one. Goal: each rule tells its mistake at its place and nothing else, and is silent about the
// nearest policy that does not have the mistake. Method: pairs of policies; a mark in the bad one stands where the finding must be.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Finding } from "../../src/lint/finding.ts";
import { Linter } from "../../src/lint/lint.ts";
import { RULES, type RuleName } from "../../src/lint/rules.ts";
import { projectPath } from "../../src/project.ts";
import { KEYS, REQUIRED } from "../config/approval-member.ts";

const MARK = "«";
const linter = new Linter(readFileSync(projectPath("build", "plugin.wasm")));

/** A pair of policies in YAML. */
interface Pair {
  rule: RuleName;
  /** What the pair is about. */
  about: string;
  /** With a mark in front of each place that is told. */
  bad: string;
  good: string;
  /** Words of the finding. */
  words: string | RegExp;
}

const listed = "tool_allowlist: [echo]";
const withEcho = (text: string) => `${listed}\n${text}`;

function pair(rule: RuleName, about: string, bad: string, good: string, words: string | RegExp): Pair {
  return { rule, about, bad, good, words };
}

/** A policy whose flagged tool waits for a human, with these members of approval instead of its own, and further text of YAML. */
function asks(members: object, further = ""): string {
  const identity = "identity: { jwt: [{ provider: p, issuer: i, claim: sub }] }";
  const approval = JSON.stringify({ ...REQUIRED, ...members }).replaceAll(/"(«?)(http)/g, '$1"$2');
  return `tool_allowlist: [delete_it]\napproval: ${approval}\n${further === "" ? identity : further}`;
}

/** A key of the right form whose point does not lie on the curve. */
const NO_POINT = Buffer.concat([Buffer.from(KEYS.first, "base64").subarray(0, 27), Buffer.alloc(64, 7)]).toString(
  "base64",
);

const ASKED: Pair[] = [
  pair(
    "approval-key",
    "a point beside the curve",
    asks({
      keys: [
        { kid: "a", spki: KEYS.first },
        { kid: "b", spki: "KEY" },
      ],
    }).replace('"KEY"', `«"${NO_POINT}"`),
    asks({
      keys: [
        { kid: "a", spki: KEYS.first },
        { kid: "b", spki: KEYS.second },
      ],
    }),
    "no point of P-256",
  ),
  pair(
    "approval-page",
    "a page of the approver's own machine",
    asks({ page: "«http://localhost:8080/a/" }),
    asks({ page: "https://localhost:8080/a/" }),
    "its own machine",
  ),
  pair(
    "approval-page",
    "a port that there is not",
    asks({ page: "«https://approve.example:99999/a/" }),
    asks({ page: "https://approve.example:9999/a/" }),
    "do not take for a URL",
  ),
  pair(
    "approval-identity",
    "nobody who names the human",
    asks({}, "identity: {}").replace('"required"', '«"required"'),
    asks({}, "identity: { header: { name: User-Identity, trusted_gateways: [spiffe://a/b] } }"),
    "whose approval counts",
  ),
  pair(
    "approval-hold",
    "a minute",
    asks({ hold_seconds: 60 }).replace(":60", ":«60"),
    asks({ hold_seconds: 59 }),
    "before they get the link",
  ),
  pair(
    "limit-unreachable",
    "more calls of one principal than of all",
    asks({ waiting: 5, waiting_per_principal: 6 }).replace(":6}", ":«6}"),
    asks({ waiting: 5, waiting_per_principal: 5 }),
    "no principal ever has so many",
  ),
];

const NAMES: Pair[] = [
  pair(
    "name-characters",
    "a space in a tool's name",
    'tool_allowlist: [«"get it"]',
    "tool_allowlist: [get-it]",
    '"get it"',
  ),
  pair("name-characters", "a slash", "tool_allowlist: [«repo/get]", "tool_allowlist: [repo.get]", '"/"'),
  pair(
    "name-characters",
    "letters that are not ASCII",
    "tool_allowlist: [«größe]",
    "tool_allowlist: [groesse]",
    "letters, digits",
  ),
  pair(
    "name-length",
    "129 characters",
    `tool_allowlist: [«${"x".repeat(129)}]`,
    `tool_allowlist: [${"x".repeat(128)}]`,
    "129 characters",
  ),
  pair(
    "name-hidden",
    "a zero-width space in a tool",
    'tool_allowlist: [«"get\\u200bit"]',
    'tool_allowlist: ["get_it"]',
    '"get\\u200bit"',
  ),
  pair(
    "name-hidden",
    "a bidirectional override in a prompt",
    withEcho('prompt_allowlist: [«"a\\u202eb"]'),
    withEcho('prompt_allowlist: ["ab"]'),
    "\\u202e",
  ),
  pair("name-hidden", "a NUL", 'tool_allowlist: [«"a\\u0000b"]', 'tool_allowlist: ["ab"]', "\\u0000"),
  pair("name-space", "a space behind a tool", 'tool_allowlist: [«"echo "]', 'tool_allowlist: ["echo"]', 'write "echo"'),
  pair(
    "name-space",
    "a no-break space before a prompt",
    withEcho('prompt_allowlist: [«"\\u00a0a"]'),
    withEcho("prompt_allowlist: [a]"),
    "white space around it",
  ),
  pair("name-wildcard", "a star", 'tool_allowlist: [«"get_*"]', "tool_allowlist: [get_it]", "a star is a letter"),
  pair("name-wildcard", "a star alone", 'tool_allowlist: [«"*"]', "tool_allowlist: [all]", "a star is a letter"),
  pair(
    "name-wildcard",
    "a regular expression",
    withEcho('prompt_allowlist: [«"^code_.+$"]'),
    withEcho("prompt_allowlist: [code_review]"),
    "pattern",
  ),
  pair(
    "name-scripts",
    "a Cyrillic letter among Latin ones",
    "tool_allowlist: [«sеarch]",
    "tool_allowlist: [search]",
    "Latin and Cyrillic",
  ),
  pair(
    "name-scripts",
    "a Greek letter in a prompt",
    withEcho("prompt_allowlist: [«cοde]"),
    withEcho("prompt_allowlist: [code]"),
    "Latin and Greek",
  ),
  pair(
    "name-alike",
    "two names that differ in case",
    "tool_allowlist: [echo, «Echo]",
    "tool_allowlist: [echo, echoes]",
    'like "echo" at [0]',
  ),
  pair(
    "name-alike",
    "an l and a 1",
    "tool_allowlist: [get_l, «get_1]",
    "tool_allowlist: [get_1, get_2]",
    'like "get_l"',
  ),
  pair(
    "name-alike",
    "two prompts in two forms of Unicode",
    withEcho('prompt_allowlist: ["\\u00e9", «"e\\u0301"]'),
    withEcho('prompt_allowlist: ["\\u00e9", "e"]'),
    "looks like",
  ),
  pair(
    "tool-flagged",
    "a flagged tool without approval",
    "tool_allowlist: [echo, «delete_it]",
    'tool_allowlist: [echo, delete_it]\napproval: { mode: "off" }',
    "its calls are refused",
  ),
  pair(
    "tool-flagged",
    "a flagged tool beside one that is exempt",
    "tool_allowlist: [lastUpdated, «delete_it]\napproval: { exempt: [lastUpdated] }",
    "tool_allowlist: [lastUpdated, delete_it]\napproval: { exempt: [lastUpdated, delete_it] }",
    "its calls are refused",
  ),
  pair(
    "tool-flagged",
    "a flagged tool whose human is asked",
    "tool_allowlist: [«delete_it]",
    asks({}),
    "its calls are refused",
  ),
  pair(
    "tool-unflagged",
    "another word for the same",
    "tool_allowlist: [«remove_it]",
    "tool_allowlist: [remove_it]\napproval: { exempt: [remove_it] }",
    "not flagged",
  ),
  pair(
    "tool-unflagged",
    "a flagged word inside another",
    "tool_allowlist: [«bulkdelete]",
    "tool_allowlist: [bulk]",
    "not flagged",
  ),
];

const root = (...roots: string[]) => withEcho(`resource_roots: [${roots.join(", ")}]`);
const rule = (text: string, tool = "echo") =>
  withEcho(`argument_rules:\n  - { tool: ${tool}, pointer: /a, rule: ${text} }`);

const ISSUER = "https://idp.example";
const JWT = `jwt: [{ provider: p, issuer: "${ISSUER}", claim: sub }]`;
const GATEWAY = "header: { name: User-Identity, trusted_gateways: [spiffe://a/gateway] }";
const FOR_TEAM = `groups: [{ issuer: "${ISSUER}", claim: groups, value: team }]`;

/** A policy with these entries of rules, and perhaps more of it. */
const withRules = (entries: string, further = "", identity = JWT) =>
  `${listed}\nidentity: { ${identity} }\n${further}\nrules:\n${entries}`;

const IDENTITY_RULES: Pair[] = [
  pair(
    "rule-unmatched",
    "an issuer of no token",
    withRules("  - { principals: [{ issuer: «https://other.example, value: alice }], tool_allowlist: [merge] }"),
    withRules(`  - { principals: [{ issuer: "${ISSUER}", value: alice }], tool_allowlist: [merge] }`),
    "whose word counts for nothing",
  ),
  pair(
    "rule-unmatched",
    "a gateway that is not trusted",
    withRules(
      "  - { principals: [{ issuer: «spiffe://a/other, value: alice }], tool_allowlist: [merge] }",
      "",
      `${JWT}, ${GATEWAY}`,
    ),
    withRules(
      "  - { principals: [{ issuer: spiffe://a/gateway, value: alice }], tool_allowlist: [merge] }",
      "",
      `${JWT}, ${GATEWAY}`,
    ),
    "one of trusted_gateways",
  ),
  pair(
    "rule-unmatched",
    "a workload of another trust domain",
    withRules("  - { principals: [{ issuer: spiffe://a, value: «spiffe://ab/c }], tool_allowlist: [merge] }"),
    withRules("  - { principals: [{ issuer: spiffe://a, value: spiffe://a/c }], tool_allowlist: [merge] }"),
    "no workload of",
  ),
  pair(
    "rule-unmatched",
    "a workload where humans are required",
    withRules(
      "  - { principals: [{ issuer: spiffe://a, value: «spiffe://a/c }], tool_allowlist: [merge] }",
      "",
      `${JWT}, require_human: true`,
    ),
    withRules("  - { principals: [{ issuer: spiffe://a, value: spiffe://a/c }], tool_allowlist: [merge] }"),
    "its calls are refused",
  ),
  pair(
    "rule-unmatched",
    "a workload that is none of the rule's",
    withRules(
      "  - { principals: [{ issuer: spiffe://a, value: «spiffe://a/bc }], workloads: [spiffe://a/b], tool_allowlist: [merge] }",
    ),
    withRules(
      "  - { principals: [{ issuer: spiffe://a, value: spiffe://a/b/c }], workloads: [spiffe://a/b], tool_allowlist: [merge] }",
    ),
    "each selector must match",
  ),
  pair(
    "rule-unmatched",
    "a gateway that is none of the rule's workloads",
    withRules(
      "  - { principals: [{ issuer: «spiffe://a/gateway, value: alice }], workloads: [spiffe://a/b], tool_allowlist: [merge] }",
      "",
      GATEWAY,
    ),
    withRules(
      "  - { principals: [{ issuer: spiffe://a/gateway, value: alice }], workloads: [spiffe://a/gateway], tool_allowlist: [merge] }",
      "",
      GATEWAY,
    ),
    "each selector must match",
  ),
  pair(
    "rule-unmatched",
    "a principal and a group of two issuers",
    withRules(
      `  - { principals: [{ issuer: «i, value: alice }], ${FOR_TEAM}, tool_allowlist: [merge] }`,
      "",
      JWT.replace("]", ", { provider: q, issuer: i, claim: sub }]"),
    ),
    withRules(`  - { principals: [{ issuer: "${ISSUER}", value: alice }], ${FOR_TEAM}, tool_allowlist: [merge] }`),
    "none of the rule's groups",
  ),
  pair(
    "rule-repeated",
    "the same rule with its members and names in another order",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [a, b] }\n  - «{ tool_allowlist: [b, a], ${FOR_TEAM} }`),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [a, b] }\n  - { ${FOR_TEAM}, tool_allowlist: [a, c] }`),
    "at [0] a second time",
  ),
  pair(
    "rule-adds-nothing",
    "a tool of everybody",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [merge, «echo] }`),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [merge, Echoes] }`),
    "everybody has already",
  ),
  pair(
    "rule-adds-nothing",
    "a prompt of everybody",
    withRules(`  - { ${FOR_TEAM}, prompt_allowlist: [«review, sum] }`, "prompt_allowlist: [review]"),
    withRules(`  - { ${FOR_TEAM}, prompt_allowlist: [sum] }`, "prompt_allowlist: [review]"),
    "everybody has already",
  ),
  pair(
    "rule-adds-nothing",
    "a root below one of everybody",
    withRules(
      `  - { ${FOR_TEAM}, resource_roots: [«"mcp://logs/today/", "mcp://logs-old/"] }`,
      'resource_roots: ["mcp://logs"]',
    ),
    withRules(`  - { ${FOR_TEAM}, resource_roots: ["mcp://logs-old/"] }`, 'resource_roots: ["mcp://logs"]'),
    '("mcp://logs")',
  ),
  pair(
    "rule-approval-idle",
    "a tool that is listed for nobody",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [delete_it], approval: { exempt: [delete_it, «update_it] } }`),
    withRules(
      `  - { ${FOR_TEAM}, tool_allowlist: [delete_it, update_it], approval: { exempt: [delete_it, update_it] } }`,
    ),
    "no tool_allowlist has",
  ),
  pair(
    "rule-approval-idle",
    "a tool for which everybody is exempt",
    withRules(
      `  - { ${FOR_TEAM}, tool_allowlist: [delete_it, update_it], approval: { exempt: [delete_it, «update_it] } }`,
      "approval: { exempt: [update_it] }",
    ),
    withRules(
      `  - { ${FOR_TEAM}, tool_allowlist: [delete_it, update_it], approval: { exempt: [delete_it] } }`,
      "approval: { exempt: [update_it] }",
    ),
    "everybody is exempt",
  ),
  pair(
    "rule-approval-idle",
    "a tool that is not flagged",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [delete_it, merge], approval: { exempt: [delete_it, «merge] } }`),
    withRules(
      `  - { ${FOR_TEAM}, tool_allowlist: [delete_it, merge], approval: { exempt: [delete_it, merge] } }`,
      "approval: { tools: [merge] }",
    ),
    "which is not flagged",
  ),
  pair(
    "principal-idle",
    "both ways to require somebody",
    withRules(
      `  - { ${FOR_TEAM}, tool_allowlist: [merge] }`,
      "",
      `${JWT}, require_human: true, require_principal: «true`,
    ),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [merge] }`, "", `${JWT}, require_principal: true`),
    "asks for more",
  ),
  // What rules list is looked at like what everybody gets.
  pair(
    "tool-flagged",
    "a flagged tool of a rule",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [«delete_it] }`),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [delete_it], approval: { exempt: [delete_it] } }`),
    "its calls are refused",
  ),
  pair(
    "tool-unflagged",
    "a destructive tool of a rule",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [«remove_it] }`),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [remove_it] }`, "approval: { exempt: [remove_it] }"),
    "sounds as if it destroys",
  ),
  pair(
    "name-wildcard",
    "a star in a rule",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [«"get_*"] }`),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [get_it] }`),
    "a star is a letter",
  ),
  pair(
    "name-alike",
    "a tool of a rule that looks like one of everybody",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [«Echo] }`),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [echoes] }`),
    'like "echo" at tool_allowlist[0]',
  ),
  pair(
    "root-inside",
    "two roots of one rule",
    withRules(`  - { ${FOR_TEAM}, resource_roots: ["mcp://logs/", «"mcp://logs/today/"] }`),
    withRules(`  - { ${FOR_TEAM}, resource_roots: ["mcp://logs/"] }`),
    "which allows it already",
  ),
  pair(
    "root-wide",
    "every file for some",
    withRules(`  - { ${FOR_TEAM}, resource_roots: [«"file:///"] }`),
    withRules(`  - { ${FOR_TEAM}, resource_roots: ["file:///srv/"] }`),
    "every file",
  ),
  pair(
    "argument-rule-tool",
    "a rule about a tool that no rule lists either",
    withRules(
      `  - { ${FOR_TEAM}, tool_allowlist: [merge] }`,
      "argument_rules: [{ tool: «rebase, pointer: /path, rule: path }]",
    ),
    withRules(
      `  - { ${FOR_TEAM}, tool_allowlist: [merge] }`,
      "argument_rules: [{ tool: merge, pointer: /path, rule: path }]",
    ),
    "does nothing",
  ),
];

const EXCHANGE =
  "token_exchange: { service: { cluster: idp, authority: idp.example, path: /token }, client: { id: guard, auth: client_secret_basic, secret_env: TOKEN_SECRET }, audience: github }";

const TOKENS: Pair[] = [
  pair(
    "authorization-idle",
    "a token that is to be taken out, in monitor mode",
    withEcho("mode: monitor\nauthorization: «strip"),
    withEcho("mode: enforce\nauthorization: strip"),
    "reaches the server",
  ),
  pair(
    "token-before-verdict",
    "headers that go on at once",
    withEcho(`identity: { ${JWT} }\nauthorization: exchange\n${EXCHANGE.replace("{", "«{")}`),
    withEcho(`identity: { ${JWT} }\nauthorization: exchange\n${EXCHANGE}\nrequest_headers: hold`),
    "for refused calls too",
  ),
  pair(
    "rate-handshake",
    "two at once",
    withEcho(`identity: { ${JWT} }\nrate_limit: { per_principal: { requests: 60, seconds: 60, burst: «2 } }`),
    withEcho(`identity: { ${JWT} }\nrate_limit: { per_principal: { requests: 60, seconds: 60, burst: 3 } }`),
    "handshake of a client fails",
  ),
  pair(
    "rate-handshake",
    "two in a period",
    withEcho(`identity: { ${JWT} }\nrate_limit: { per_principal: { requests: «2, seconds: 60 } }`),
    withEcho(`identity: { ${JWT} }\nrate_limit: { per_principal: { requests: 2, seconds: 60, burst: 3 } }`),
    "handshake of a client fails",
  ),
  pair(
    "rate-shared",
    "principals that nobody names",
    withEcho("rate_limit: { per_principal: «{ requests: 60, seconds: 60 } }"),
    withEcho("identity: {}\nrate_limit: { per_principal: { requests: 60, seconds: 60 } }"),
    "share one count",
  ),
  pair(
    "rate-idle",
    "a count of tools without a tool",
    "tool_allowlist: []\nrate_limit: { per_tool: «{ requests: 60, seconds: 60 } }",
    withEcho("rate_limit: { per_tool: { requests: 60, seconds: 60 } }"),
    "nothing that it counts",
  ),
];

const ROOTS: Pair[] = [
  pair(
    "root-inside",
    "a folder in a folder",
    root("file:///srv/", "«file:///srv/a/"),
    root("file:///srv/b/", "file:///srv/a/"),
    'below the root "file:///srv/"',
  ),
  pair(
    "root-inside",
    "a root with and without a slash",
    root("mcp://logs", "«mcp://logs/"),
    root("mcp://logs", "mcp://logs-2/"),
    "allows it already",
  ),
  pair(
    "root-inside",
    "an opaque root",
    root('"urn:isbn:"', '«"urn:isbn:0451450523"'),
    root('"urn:isbn:"', '"urn:issn:1"'),
    "urn:isbn:",
  ),
  pair(
    "root-inside",
    "uri_roots of a rule",
    rule('{ uri_roots: ["mcp://a/", «"mcp://a/b/"] }'),
    rule('{ uri_roots: ["mcp://a/b/", "mcp://a/c/"] }'),
    "mcp://a/b/",
  ),
  pair(
    "root-inside",
    "path_roots of a rule",
    rule("{ path_roots: [/srv, «/srv/a] }"),
    rule("{ path_roots: [/srv, /srv-a] }"),
    '"/srv/a"',
  ),
  pair(
    "root-unreachable",
    "dots in a root with the literal rule",
    root("«file:///srv/v1..v2/"),
    `${root("file:///srv/v1..v2/")}\nuri_traversal: segment`,
    "uri_traversal",
  ),
  pair(
    "root-unreachable",
    "dots in uri_roots",
    rule('{ uri_roots: [«"mcp://a/v1..v2/"] }'),
    rule('{ uri_roots: ["mcp://a/v1.v2/"] }'),
    "uri_traversal",
  ),
  pair(
    "root-unreachable",
    "dots in path_roots",
    rule("{ path_roots: [«/srv/a..b] }"),
    rule("{ path_roots: [/srv/a.b] }"),
    "uri_traversal: segment",
  ),
  pair(
    "root-no-slash",
    "a folder without a slash",
    root("«file:///srv/repos"),
    root("file:///srv/repos/"),
    'write "file:///srv/repos/"',
  ),
  pair(
    "root-no-slash",
    "a folder of another scheme",
    root("«mcp://logs/app"),
    root("mcp://logs/app.txt"),
    "without a slash",
  ),
  pair("root-wide", "every host", root("«https://"), root("https://docs.example/"), "every host"),
  pair("root-wide", "every file", root("«file:///"), root("file:///srv/"), "every file"),
  pair(
    "root-spelling",
    "capital letters in a host",
    root("«https://Docs.example/"),
    root("https://docs.example/"),
    'write "https://docs.example/"',
  ),
  pair(
    "root-spelling",
    "the usual port",
    root("«https://docs.example:443/"),
    root("https://docs.example:8443/"),
    "usual port",
  ),
  pair(
    "root-spelling",
    "letters that clients encode",
    root("«file:///srv/größe/"),
    root("file:///srv/gr%C3%B6%C3%9Fe/"),
    "gr%C3%B6%C3%9Fe",
  ),
];

const ARGUMENTS: Pair[] = [
  pair("argument-rule-tool", "a tool that is not listed", rule("path", "«ecko"), rule("path"), 'write "echo"'),
  pair(
    "argument-rule-pointer",
    "a pointer from the arguments on",
    withEcho("argument_rules:\n  - tool: echo\n    pointer: «/arguments/path\n    rule: path"),
    withEcho("argument_rules:\n  - tool: echo\n    pointer: /path\n    rule: path"),
    'write "/path"',
  ),
  pair(
    "argument-rule-repeated",
    "one rule twice",
    withEcho(
      "argument_rules:\n  - { tool: echo, pointer: /a, rule: uri }\n  - «{ tool: echo, pointer: /a, rule: uri }",
    ),
    withEcho("argument_rules:\n  - { tool: echo, pointer: /a, rule: uri }\n  - { tool: echo, pointer: /b, rule: uri }"),
    "at [0] a second time",
  ),
  pair(
    "argument-rule-contradiction",
    "two enums without a common string",
    withEcho(
      "argument_rules:\n  - { tool: echo, pointer: /a, rule: { enum: [x, w] } }\n  - { tool: echo, pointer: /a, rule: «{ enum: [z] } }",
    ),
    withEcho(
      "argument_rules:\n  - { tool: echo, pointer: /a, rule: { enum: [x, w] } }\n  - { tool: echo, pointer: /a, rule: { enum: [w] } }",
    ),
    "no value keeps",
  ),
  pair(
    "argument-rule-contradiction",
    "an enum of strings that are too long",
    withEcho(
      "argument_rules:\n  - { tool: echo, pointer: /a, rule: { enum: [ää] } }\n  - { tool: echo, pointer: /a, rule: «{ max_bytes: 3 } }",
    ),
    withEcho(
      "argument_rules:\n  - { tool: echo, pointer: /a, rule: { enum: [ää] } }\n  - { tool: echo, pointer: /a, rule: { max_bytes: 4 } }",
    ),
    "no value keeps",
  ),
];

const ENDPOINTS: Pair[] = [
  pair(
    "method-of-servers",
    "a request of servers",
    withEcho("method_allowlist: [«sampling/createMessage]"),
    withEcho("sampling: allow"),
    "set sampling: allow",
  ),
  pair(
    "method-of-servers",
    "a notification of servers",
    withEcho("method_allowlist: [«notifications/message]"),
    withEcho("method_allowlist: [notifications/mine]"),
    "passes anyway",
  ),
  pair(
    "method-alike",
    "a method of the table in another case",
    withEcho("method_allowlist: [«Tools/Call]"),
    withEcho("method_allowlist: [tools/search]"),
    "is not tools/call",
  ),
  pair(
    "method-wildcard",
    "a star",
    withEcho('method_allowlist: [«"skills/*"]'),
    withEcho("method_allowlist: [skills/list]"),
    "a star is a letter",
  ),
  pair(
    "skills-get-without-roots",
    "skills/get alone",
    withEcho("method_allowlist: [«skills/get]"),
    withEcho("method_allowlist: [skills/get]\nresource_roots: [skill://a/]"),
    "each call of it is refused",
  ),
  pair(
    "unguarded-repeated",
    "an endpoint twice",
    withEcho(
      "unguarded:\n  - { methods: [POST, GET], path: /hook, reason: a }\n  - «{ methods: [POST], path: /hook, reason: b }",
    ),
    withEcho(
      "unguarded:\n  - { methods: [GET], path: /hook, reason: a }\n  - { methods: [POST], path: /hook, reason: b }",
    ),
    "an entry before has",
  ),
  pair(
    "unguarded-wildcard",
    "a star",
    withEcho("unguarded: [{ methods: [POST], path: «/hooks/*, reason: a }]"),
    withEcho("unguarded: [{ methods: [POST], path: /hooks/a, reason: a }]"),
    "an exact path",
  ),
  pair(
    "unguarded-reason",
    "no reason",
    withEcho("unguarded:\n  - «{ methods: [POST], path: /hook }"),
    withEcho("unguarded:\n  - { methods: [POST], path: /hook, reason: a }"),
    "without a reason",
  ),
  pair(
    "unguarded-mcp",
    "the endpoint itself",
    withEcho("unguarded: [{ methods: [POST], path: «/mcp, reason: a }]"),
    withEcho("unguarded: [{ methods: [GET], path: /mcp, reason: a }]"),
    "pass unread",
  ),
  pair(
    "unguarded-mcp",
    "the root",
    withEcho("unguarded: [{ methods: [POST], path: «/, reason: a }]"),
    withEcho("unguarded: [{ methods: [POST], path: /hook, reason: a }]"),
    "pass unread",
  ),
  pair(
    "host-repeated",
    "a host with a port beside the host",
    withEcho("allowed_hosts: [mcp.example, «mcp.example:8443]"),
    withEcho('allowed_hosts: ["mcp.example:80", "mcp.example:8443"]'),
    "no port is any port",
  ),
  pair(
    "host-repeated",
    "a host in two cases",
    withEcho("allowed_hosts: [mcp.example, «MCP.example]"),
    withEcho("allowed_hosts: [mcp.example, mcp2.example]"),
    "letter case does not count",
  ),
  pair(
    "host-repeated",
    "an address",
    withEcho('allowed_hosts: ["[::1]", «"[::1]:80"]'),
    withEcho('allowed_hosts: ["[::1]", "[::2]:80"]'),
    "[::1]",
  ),
  pair(
    "origin-port",
    "the port that browsers leave out",
    withEcho('allowed_origins: [«"https://app.example:443"]'),
    withEcho('allowed_origins: ["https://app.example:8443"]'),
    'write "https://app.example"',
  ),
];

const EFFECTS: Pair[] = [
  pair(
    "response-hosts-scheme",
    "a scheme without hosts",
    withEcho("response_uris: { schemes: [https, «mailto], hosts: [a.example] }"),
    withEcho("response_uris: { schemes: [https, mailto] }"),
    "have no host",
  ),
  pair(
    "response-hosts-idle",
    "hosts without a scheme",
    withEcho("response_uris:\n  schemes: []\n  hosts: «[a.example]"),
    withEcho("response_uris:\n  schemes: []"),
    "no URI passes",
  ),
  pair(
    "response-host-port",
    "the port that URIs leave out",
    withEcho('response_uris: { hosts: [«"a.example:443"] }'),
    withEcho('response_uris: { hosts: ["a.example:8443"] }'),
    "usual port",
  ),
  pair(
    "response-scheme-open",
    "files of the client",
    withEcho("response_uris: { schemes: [https, «file] }"),
    withEcho("response_uris: { schemes: [https] }"),
    "the client's machine",
  ),
  pair(
    "response-scheme-open",
    "http without hosts",
    withEcho("response_uris: { schemes: [«http] }"),
    withEcho("response_uris: { schemes: [http], hosts: [a.example] }"),
    "add hosts",
  ),
  pair(
    "tasks-idle",
    "tasks without tools",
    "tool_allowlist: []\ntasks: «allow",
    "tool_allowlist: [echo]\ntasks: allow",
    "nothing makes a task",
  ),
  pair(
    "approval-idle",
    "no flagged tool",
    withEcho('approval: «{ mode: "off" }'),
    'tool_allowlist: [execute_it]\napproval: { mode: "off" }',
    "without a flagged tool",
  ),
  pair(
    "approval-idle",
    "an exempt tool that is not listed",
    withEcho("approval: { exempt: [«delete_it] }"),
    "tool_allowlist: [delete_it]\napproval: { exempt: [delete_it] }",
    "not in tool_allowlist",
  ),
  pair(
    "approval-idle",
    "an exempt tool that is not flagged",
    withEcho("approval: { exempt: [«echo] }"),
    "tool_allowlist: [drop_it]\napproval: { exempt: [drop_it] }",
    "which is not flagged",
  ),
  pair(
    "approval-idle",
    "a flagged tool in the list of flagged ones",
    'tool_allowlist: [delete_it]\napproval: { mode: "off", tools: [«delete_it] }',
    'tool_allowlist: [drop_it]\napproval: { mode: "off", tools: [drop_it] }',
    "which its name flags already",
  ),
  pair(
    "redact-pointer",
    "a pointer from the arguments on",
    withEcho("audit: { arguments: redacted, redact: [«/arguments/token] }"),
    withEcho("audit: { arguments: redacted, redact: [/token] }"),
    'write "/token"',
  ),
  pair(
    "redact-pointer",
    "a pointer into a result",
    withEcho("audit: { response: redacted, redact_response: [«/content/-/text] }"),
    withEcho("audit: { response: redacted, redact_response: [/result/content/-/text] }"),
    'write "/result/content/-/text"',
  ),
  pair(
    "redact-repeated",
    "a pointer below another",
    withEcho("audit: { arguments: redacted, redact: [/a, «/a/b] }"),
    withEcho("audit: { arguments: redacted, redact: [/a, /ab] }"),
    '"/a" covers',
  ),
  pair(
    "redact-repeated",
    "a pointer twice",
    withEcho("audit: { response: redacted, redact_response: [/result/a, «/result/a] }"),
    withEcho("audit: { response: redacted, redact_response: [/result/a, /result/b] }"),
    "covers",
  ),
  pair(
    "audit-idle",
    "digests without a record",
    withEcho("audit: { line: none, arguments: «digest }"),
    withEcho("audit: { line: json, arguments: digest }"),
    "there is no record",
  ),
  pair(
    "audit-idle",
    "with a collector there is one",
    withEcho("audit: { line: none, response: «full }"),
    withEcho("audit: { line: none, response: full, otlp: { cluster: c, authority: a } }"),
    "there is no record",
  ),
  pair(
    "audit-required-idle",
    "no flagged tool",
    withEcho("audit: { required: «approval, otlp: { cluster: c, authority: a } }"),
    'tool_allowlist: [delete_it]\napproval: { mode: "off" }\naudit: { required: approval, otlp: { cluster: c, authority: a } }',
    "without a flagged tool",
  ),
  pair(
    "audit-required-idle",
    "monitor mode",
    withEcho("mode: monitor\naudit: { required: «all, otlp: { cluster: c, authority: a } }"),
    withEcho("audit: { required: all, otlp: { cluster: c, authority: a } }"),
    "monitor mode",
  ),
  pair(
    "record-bytes-idle",
    "room for a text that there is not",
    withEcho("audit: { arguments: digest, record_bytes: «65536 }"),
    withEcho("audit: { arguments: full, record_bytes: 65536 }"),
    "no record has the text",
  ),
  pair(
    "limit-unreachable",
    "a body above what is held together",
    withEcho("limits: { body_bytes: «70000, in_flight_bytes: 65536 }"),
    withEcho("limits: { body_bytes: 65536, in_flight_bytes: 65536 }"),
    "overloaded",
  ),
  pair(
    "limit-unreachable",
    "the default of body_bytes",
    withEcho("limits: { in_flight_bytes: «999999 }"),
    withEcho("limits: { in_flight_bytes: 1000000 }"),
    "body_bytes 1000000",
  ),
  pair(
    "limit-unreachable",
    "members of one object above those of all",
    withEcho("limits: { members_per_object: «4097 }"),
    withEcho("limits: { members_per_object: 4096 }"),
    "open_members 4096",
  ),
  pair(
    "limit-modern",
    "short member names",
    withEcho("limits: { key_bytes: «41 }"),
    withEcho("limits: { key_bytes: 42 }"),
    "2026-07-28",
  ),
  pair(
    "limit-modern",
    "a flat message",
    withEcho("limits: { depth: «3 }"),
    withEcho("limits: { depth: 4 }"),
    "at least 4",
  ),
  pair(
    "limit-buffer",
    "a body above the proxy's buffer",
    withEcho("limits: { body_bytes: «2000000 }"),
    withEcho("limits: { body_bytes: 2000000 }\nrequest_body: stream"),
    "per_connection_buffer_limit_bytes",
  ),
  pair("yaml-boolean", "a plain word", "tool_allowlist: [echo, «on]", 'tool_allowlist: [echo, "on"]', 'write "on"'),
];

const resource = (policy: string, kind = "WasmPlugin") => {
  const indented = policy.replaceAll(/^/gm, kind === "WasmPlugin" ? "    " : "      ");
  const body = kind === "WasmPlugin" ? `  pluginConfig:\n${indented}` : `  wasm:\n    pluginConfig:\n${indented}`;
  return `apiVersion: extensions.istio.io/v1alpha1\nkind: ${kind}\nmetadata: { name: mcp-tool-guard }\nspec:\n${body}`;
};

const FORMS: Pair[] = [
  pair(
    "hold-in-istio",
    "a WasmPlugin",
    resource(`${listed}\nrequest_headers: «hold`),
    `${listed}\nrequest_headers: hold`,
    "503",
  ),
  pair(
    "hold-in-istio",
    "a TrafficExtension",
    resource(`${listed}\nrequest_headers: «hold`, "TrafficExtension"),
    resource(`${listed}\nrequest_headers: release`, "TrafficExtension"),
    "503",
  ),
];

/** Those whose finding is an error. */
const ERRORS: Pair[] = [
  pair("yaml", "a bracket that is not closed", "tool_allowlist: [echo\n«", "tool_allowlist: [echo]\n", "no YAML"),
  pair(
    "yaml",
    "a member twice",
    "tool_allowlist: [a]\n«tool_allowlist: [b]",
    "tool_allowlist: [a]\ntasks: allow",
    "a second time",
  ),
  pair(
    "resource",
    "no apiVersion",
    "«kind: WasmPlugin\nspec: { pluginConfig: { tool_allowlist: [a] } }",
    resource("tool_allowlist: [a]"),
    "without apiVersion",
  ),
  pair(
    "resource",
    "no pluginConfig",
    "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nspec:\n  «url: oci://a/b",
    resource("tool_allowlist: [a]"),
    "without spec.pluginConfig",
  ),
  pair(
    "filter",
    "an unknown member",
    "tool_allowlist: [a]\n«tool_alowlist: [b]",
    "tool_allowlist: [a]",
    'did you mean "tool_allowlist"?',
  ),
  pair(
    "filter",
    "an unknown limit",
    withEcho("limits:\n  «body_byte: 5"),
    withEcho("limits:\n  body_bytes: 5"),
    "write body_bytes",
  ),
  pair(
    "filter",
    "a name twice",
    "tool_allowlist:\n  - a\n  - b\n  - «a",
    "tool_allowlist:\n  - a\n  - b",
    "the same string a second time",
  ),
  pair(
    "filter",
    "a method of the table",
    withEcho("method_allowlist: [vendor/x, «tools/call]"),
    withEcho("method_allowlist: [vendor/x]"),
    "its own member opens it",
  ),
  pair(
    "filter",
    "a word of another letter case",
    withEcho("mode: «Enforce"),
    withEcho("mode: enforce"),
    "write enforce",
  ),
  pair("filter", "no entry of rules", withEcho("rules: «[]"), listed, "expected at least one"),
  pair(
    "filter",
    "a group of an issuer that no token has, beside a mistake elsewhere",
    withRules(
      '  - { groups: [{ issuer: «"https://other.example", claim: groups, value: team }], tool_allowlist: [merge] }',
      "mode: «Enforce",
    ),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [merge] }`),
    "expected",
  ),
  pair(
    "filter",
    "a mistake elsewhere, beside rules that need the rest of the policy",
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [merge] }`, "mode: «Enforce"),
    withRules(`  - { ${FOR_TEAM}, tool_allowlist: [merge] }`),
    "write enforce",
  ),
  pair(
    "filter",
    "a mistake elsewhere, beside an exchange that needs the rest of the policy",
    withEcho(`identity: { ${JWT} }\nauthorization: exchange\n${EXCHANGE}\nrequest_headers: hold\nmode: «Enforce`),
    withEcho(`identity: { ${JWT} }\nauthorization: exchange\n${EXCHANGE}\nrequest_headers: hold`),
    "write enforce",
  ),
  pair("filter", "no tool_allowlist", "«mode: enforce", `mode: enforce\n${listed}`, "found no tool_allowlist"),
  pair(
    "filter",
    "a word that YAML 1.1 takes for a boolean, in a resource",
    resource("tool_allowlist: [delete_it]\napproval: { mode: «off }"),
    resource('tool_allowlist: [delete_it]\napproval: { mode: "off" }'),
    'write "off" in quotes',
  ),
  pair(
    "filter",
    "a member in the third document",
    `apiVersion: v1\nkind: Service\n---\n${resource("tool_allowlist: [a]")}\n---\n${resource("tool_allowlist: [a]\nmode: «off-line")}`,
    `apiVersion: v1\nkind: Service\n---\n${resource("tool_allowlist: [a]")}`,
    "expected one of enforce monitor",
  ),
  pair(
    "filter",
    "a member of an item of a list",
    `apiVersion: v1\nkind: List\nitems:\n- apiVersion: extensions.istio.io/v1alpha1\n  kind: WasmPlugin\n  spec: { pluginConfig: { tool_allowlist: [«""] } }`,
    `apiVersion: v1\nkind: List\nitems:\n- apiVersion: extensions.istio.io/v1alpha1\n  kind: WasmPlugin\n  spec: { pluginConfig: { tool_allowlist: [a] } }`,
    "expected a tool name",
  ),
];

function lint(text: string): readonly Finding[] {
  return linter.lint({ name: "policy.yaml", bytes: Buffer.from(text), isJson: false }).findings;
}

/** The text without marks, and the lines and columns at which they stood. */
function unmarked(text: string): { text: string; places: string[] } {
  const pieces = text.split(MARK);
  const places = pieces.slice(0, -1).map((_, index) => {
    const before = pieces
      .slice(0, index + 1)
      .join("")
      .split("\n");
    return `${before.length}:${(before.at(-1) ?? "").length + 1}`;
  });
  return { text: pieces.join(""), places };
}

const shown = ({ line, column, severity, rule: name }: Finding) => `${line}:${column} ${severity} ${name}`;
const wordsOf = ({ member, what, expected, mend }: Finding) => `${member}: ${what}, expected ${expected} (${mend})`;

const WARNINGS = [
  ...NAMES,
  ...ASKED,
  ...ROOTS,
  ...ARGUMENTS,
  ...ENDPOINTS,
  ...EFFECTS,
  ...FORMS,
  ...IDENTITY_RULES,
  ...TOKENS,
];
const ALL = [
  ...WARNINGS.map((one) => [one.rule, one.about, "warning", one] as const),
  ...ERRORS.map((one) => [one.rule, one.about, "error", one] as const),
];

describe.each(ALL)("%s: %s", (name, _, severity, { bad, good, words }) => {
  test("is told at its place, and nothing else is", () => {
    const { text, places } = unmarked(bad);
    const findings = lint(text);
    expect(findings.map(shown)).toEqual(places.map((place) => `${place} ${severity} ${name}`));
    for (const one of findings) expect(wordsOf(one)).toMatch(words);
  });

  test("is not told of the nearest good policy", () => {
    expect(lint(good).map(wordsOf)).toEqual([]);
  });
});

test("where there are rules, peers have counts of their own without identity", () => {
  const limit = "rate_limit: { per_principal: { requests: 60, seconds: 60 } }";
  const rules = "rules: [{ workloads: [spiffe://a/b], tool_allowlist: [merge] }]";
  expect(lint(withEcho(`${limit}\n${rules}`)).map(wordsOf)).toEqual([]);
});

test("each rule has a pair, but for those with a test of their own", () => {
  const paired = new Set(ALL.map(([name]) => name));
  expect(Object.keys(RULES).filter((name) => !paired.has(name as RuleName))).toEqual(["encoding", "schema"]);
});

test("bytes that are no UTF-8 are told at the first of them", () => {
  const bytes = Buffer.concat([Buffer.from("tool_allowlist:\n- a"), Buffer.from([0xff]), Buffer.from("\n")]);
  const { findings } = linter.lint({ name: "p", bytes, isJson: false });
  expect(findings.map(shown)).toEqual(["2:4 error encoding"]);
});

test("a second mistake in one member is told by the schema, the first by the filter", () => {
  const { text, places } = unmarked('tool_allowlist: [«7, a, «""]');
  expect(lint(text).map(shown)).toEqual([`${places[0]} error filter`, `${places[1]} error schema`]);
});

test.each([
  [
    "a rule that is none of the forms",
    "argument_rules: [{ tool: echo, pointer: /a, rule: Path }, { tool: echo, pointer: /a, rule: «7 }]",
  ],
  [
    "a rule of two forms",
    "argument_rules: [{ tool: echo, pointer: /a, rule: Path }, { tool: echo, pointer: /a, rule: «{ enum: [a], max_bytes: 9 } }]",
  ],
  ["a method of the table", 'method_allowlist: ["", «ping]'],
])("the schema tells %s once, not each form that it does not have", (_, bad) => {
  const { text, places } = unmarked(withEcho(bad));
  expect(lint(text).map(shown).slice(1)).toEqual([`${places[0]} error schema`]);
});

test.each([
  ["a collector that is missing", "audit: { required: all }", "2:8"],
  ["pointers that are missing", "audit: { arguments: redacted }", "2:8"],
  ["hold with stream", "request_headers: hold\nrequest_body: stream", "1:1"],
])("%s is told once", (_, bad, place) => {
  expect(lint(withEcho(bad)).map(shown)).toEqual([`${place} error filter`]);
});

test("aliases that expand without end are an error, not a fault", () => {
  const levels = Array.from({ length: 9 }, (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level}, `.repeat(9)}]`);
  expect(lint(`l0: &l0 [a]\n${levels.join("\n")}\n`).map(({ rule: name }) => name)).toEqual(["yaml"]);
});

test("what only the schema objects to is a warning", () => {
  const { text, places } = unmarked(withEcho('allowed_hosts: [«"::1"]'));
  expect(lint(text).map(shown)).toEqual([`${places[0]} warning schema`]);
});

test.each([
  ["a broken JSON text", '{"tool_allowlist":\n  ["a",]}', "2:8"],
  ["a member twice", '{"tool_allowlist":[],\n "mode":"enforce",\n "mode":"monitor"}', "3:7"],
  ["a byte order mark", '\ufeff{"tool_allowlist":[]}', "1:1"],
])("in JSON, %s is told at the byte that the filter names", (_, text, place) => {
  const { findings } = linter.lint({ name: "p.json", bytes: Buffer.from(text), isJson: true });
  expect(findings.map(shown)).toEqual([`${place} error filter`]);
});

test("a boolean that kubectl reads as one is none too many", () => {
  const identity = "identity: { jwt: [{ provider: p, issuer: i, claim: c }], require_human: yes }";
  expect(lint(resource(`${listed}\n${identity}`))).toEqual([]);
  expect(lint(`${listed}\n${identity}`).map(({ rule: name }) => name)).toEqual(["filter"]);
});

test.each(["required", "off"])("with approval %s there are calls whose records can be waited for", (mode) => {
  const audit = "audit: { required: approval, otlp: { cluster: c, authority: a } }";
  const text = mode === "off" ? `tool_allowlist: [delete_it]\napproval: { mode: "off" }` : asks({});
  expect(lint(`${text}\n${audit}`)).toEqual([]);
  expect(lint(`tool_allowlist: [delete_it]\n${audit}`).map(({ rule: name }) => name)).toEqual([
    "tool-flagged",
    "audit-required-idle",
  ]);
});

test("the examples of the policy page have no error", () => {
  const page = readFileSync(projectPath("docs", "policy.md"), "utf8");
  const examples = [...page.matchAll(/^```(json|yaml)\n(.*?)^```$/gms)].map(
    ([, language, text]) => [language, text] as const,
  );
  expect(examples.length).toBeGreaterThan(25);
  for (const [language, text = ""] of examples) {
    const { findings } = linter.lint({ name: "p", bytes: Buffer.from(text), isJson: language === "json" });
    const errors = findings.filter(({ severity }) => severity === "error");
    expect(errors.map(wordsOf), text).toEqual([]);
  }
});

test.each([
  ["what the kernel shows of itself, which no other root reaches", ["file:///", "file:///proc/self/"], ["root-wide"]],
  ["a drive below a folder", ["file:///srv/", "file:///srv/C:/data/"], []],
  ["a host that begins alike", ["mcp://logs", "mcp://logs.example/"], []],
])("beside another root, %s is not below it", (_, roots, rules) => {
  expect(lint(JSON.stringify({ tool_allowlist: [], resource_roots: roots })).map(({ rule: name }) => name)).toEqual(
    rules,
  );
});

test("anchors and merged members are placed where they are written, or around them", () => {
  const { text, places } = unmarked("tool_allowlist: &names [a, «a]\nprompt_allowlist: *names\n");
  expect(lint(text).map(shown)).toEqual([`${places[0]} error filter`, `${places[0]} error filter`]);
  expect(lint("base: &b\n").length).toBeGreaterThan(0);
});

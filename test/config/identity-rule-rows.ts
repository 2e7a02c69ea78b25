// Good and bad `rules`: what some identities may beside what everybody may.
import { REQUIRED } from "./approval-member.ts";
import { bad, type ConfigurationRow, good, names, withMembers } from "./row.ts";

const BESIDE = "it depends on another member, and a schema compares none with another";
const BYTES = "maxLength counts characters, the filter bytes of UTF-8";

const ISSUER = "https://idp.example";
const IDENTITY = { jwt: [{ provider: "payload", issuer: ISSUER, claim: "sub" }] };
const ALICE = { issuer: ISSUER, value: "alice" };
const TEAM = { issuer: ISSUER, claim: "groups", value: "team" };
const PEER = "spiffe://td/ns/agents";

const RULE = "an object with principals, groups or workloads, and what they may";
const PRINCIPAL = "an object with issuer and value";
const GROUP = "an object with issuer, claim and value";
const NOT_A_BEGINNING =
  "expected the beginning of a SPIFFE id, like spiffe://cluster.local/ns/agents, of at most 16 segments";
const NO_SELECTOR =
  "found no selector, expected principals, groups or workloads: what everybody gets stands in the lists of the policy";
const HAD = "found only what everybody gets already: a rule adds and cannot narrow";

/** A policy with these rules, whose tokens have one issuer. */
function rules(...entries: unknown[]): string {
  return withMembers({ identity: IDENTITY, rules: entries });
}

/** One rule that gives a tool to whom this selects. */
const to = (selectors: object): string => rules({ ...selectors, tool_allowlist: ["merge"] });

/** One rule that gives this to a team. */
const gives = (additions: object, further: object = {}): string =>
  withMembers({ identity: IDENTITY, ...further, rules: [{ groups: [TEAM], ...additions }] });

const SELECTORS: ConfigurationRow[] = [
  good("a principal", to({ principals: [ALICE] })),
  good("a group", to({ groups: [TEAM] })),
  good("a workload", to({ workloads: [PEER] })),
  good("all three selectors", to({ principals: [ALICE], groups: [TEAM], workloads: [PEER] })),
  good("workloads without identity", withMembers({ rules: [{ workloads: [PEER], tool_allowlist: ["merge"] }] })),
  good(
    "a principal of a gateway",
    withMembers({
      identity: { header: { name: "User-Identity", trusted_gateways: [PEER] } },
      rules: [{ principals: [{ issuer: PEER, value: "alice" }], tool_allowlist: ["merge"] }],
    }),
  ),
  good("principals of an issuer that no token has", to({ principals: [{ issuer: "spiffe://td", value: PEER }] })),
  good("one value of two issuers", to({ principals: [ALICE, { ...ALICE, issuer: "https://other.example" }] })),
  good("1024 principals", to({ principals: names(1024).map((value) => ({ ...ALICE, value })) })),
  good("1024 groups", to({ groups: names(1024).map((value) => ({ ...TEAM, value })) })),
  good("1024 workloads", to({ workloads: names(1024).map((name) => `${PEER}/${name}`) })),
  good("512 bytes of issuer and value", to({ principals: [{ issuer: "i".repeat(512), value: "v".repeat(512) }] })),
  good("a workload of 16 segments", to({ workloads: [`spiffe://td${"/a".repeat(16)}`] })),
  good("16 different claims", to({ groups: names(16).map((claim) => ({ ...TEAM, claim })) })),
  good(
    "two rules with the same selector",
    rules(...["a", "b"].map((tool) => ({ groups: [TEAM], tool_allowlist: [tool] }))),
  ),
  good("1024 rules", rules(...names(1024).map((tool) => ({ groups: [TEAM], tool_allowlist: [tool] })))),
  bad(
    "1025 rules",
    rules(...names(1025).map((tool) => ({ groups: [TEAM], tool_allowlist: [tool] }))),
    "rules[1024]: the list has too many entries, expected at most 1024",
  ),
  bad("an empty list of rules", rules(), "rules: found an empty list, expected at least one rule"),
  bad("a rule without a selector", rules({ tool_allowlist: ["merge"] }), `rules[0]: ${NO_SELECTOR}`),
  bad("an empty rule", rules({}), `rules[0]: ${NO_SELECTOR}`),
  bad(
    "a second rule without a selector",
    rules({ groups: [TEAM], tool_allowlist: ["a"] }, { tool_allowlist: ["b"] }),
    `rules[1]: ${NO_SELECTOR}`,
  ),
  ...(["principals", "groups"] as const).map((selector) =>
    bad(
      `no entry of ${selector}`,
      to({ [selector]: [] }),
      `rules[0].${selector}: found an empty list, expected at least one entry`,
    ),
  ),
  bad("no workload", to({ workloads: [] }), "rules[0].workloads: found an empty list, expected at least one entry"),
  bad(
    "an empty selector beside another one",
    to({ groups: [TEAM], principals: [] }),
    "rules[0].principals: found an empty list, expected at least one entry",
  ),
  bad(
    "1025 principals",
    to({ principals: names(1025).map((value) => ({ ...ALICE, value })) }),
    "rules[0].principals[1024]: the list has too many entries, expected at most 1024",
  ),
  bad(
    "1025 groups",
    to({ groups: names(1025).map((value) => ({ ...TEAM, value })) }),
    "rules[0].groups[1024]: the list has too many entries, expected at most 1024",
  ),
  bad(
    "1025 workloads",
    to({ workloads: names(1025).map((name) => `${PEER}/${name}`) }),
    "rules[0].workloads: the list has too many entries, expected at most 1024",
  ),
  bad(
    "a group of an issuer that no token has",
    to({ groups: [TEAM, { ...TEAM, issuer: "https://other.example" }] }),
    "rules[0].groups[1].issuer: found an issuer that no entry of identity.jwt has, expected one of theirs",
    BESIDE,
  ),
  bad(
    "a group without identity",
    withMembers({ rules: [{ groups: [TEAM], tool_allowlist: ["merge"] }] }),
    "rules[0].groups[0].issuer: found an issuer that no entry of identity.jwt has, expected one of theirs",
    BESIDE,
  ),
  bad(
    "17 different claims",
    to({ groups: names(17).map((claim) => ({ ...TEAM, claim })) }),
    "rules[0].groups[16]: found one claim more than rules can ask for, expected at most 16 different ones with their issuers",
    "a schema counts entries, not different claims of all rules",
  ),
  bad(
    "a principal twice",
    to({ principals: [ALICE, { value: "alice", issuer: ISSUER }] }),
    "rules[0].principals[1]: found the same entry a second time, expected distinct ones",
  ),
  bad(
    "a group twice",
    to({ groups: [TEAM, TEAM] }),
    "rules[0].groups[1]: found the same entry a second time, expected distinct ones",
  ),
  bad(
    "a workload twice",
    to({ workloads: [PEER, PEER] }),
    "rules[0].workloads[1]: found the same string a second time, expected distinct strings",
  ),
  ...[
    "spiffe://td",
    "spiffe://td/",
    "spiffe://td/ns/",
    "spiffe://td//a",
    "spiffe://TD/a",
    "https://td/a",
    "spiffe://td/../a",
    "spiffe://td/a/*",
    `spiffe://td${"/a".repeat(17)}`,
  ].map((id) => bad(`${id} as a workload`, to({ workloads: [id] }), `rules[0].workloads[0]: ${NOT_A_BEGINNING}`)),
  ...(
    [
      ["principals", "issuer", ALICE, "who vouches for the value"],
      ["principals", "value", ALICE, "the one that the identity must have"],
      ["groups", "issuer", TEAM, "who vouches for the value"],
      ["groups", "claim", TEAM, "the name of a claim of the token"],
      ["groups", "value", TEAM, "the one that the identity must have"],
    ] as const
  ).flatMap(([selector, member, entry, what]) => {
    const without = Object.fromEntries(Object.entries(entry).filter(([name]) => name !== member));
    const kind = member === "claim" ? "a claim's name" : member === "issuer" ? "an issuer" : "a value";
    const most = member === "claim" ? 128 : 512;
    return [
      bad(
        `${selector} without ${member}`,
        to({ [selector]: [without] }),
        `rules[0].${selector}[0]: found no ${member}, expected ${what}`,
      ),
      ...["", "a\n", "x".repeat(most + 1)].map((text) =>
        bad(
          `${selector} with ${JSON.stringify(text.slice(0, 4))} of ${text.length} bytes as ${member}`,
          to({ [selector]: [{ ...entry, [member]: text }] }),
          `rules[0].${selector}[0].${member}: found the string "${text === "a\n" ? "a\\u000a" : text.slice(0, 64)}", expected ${kind} of 1 to ${most} bytes without controls`,
        ),
      ),
      bad(
        `${selector} with a number as ${member}`,
        to({ [selector]: [{ ...entry, [member]: 7 }] }),
        `rules[0].${selector}[0].${member}: found the number 7, expected ${kind} of 1 to ${most} bytes without controls`,
      ),
    ];
  }),
  bad(
    "a value of 513 bytes in fewer characters",
    to({ principals: [{ ...ALICE, value: `${"ü".repeat(256)}x` }] }),
    undefined,
    BYTES,
  ),
  bad(
    "a claim in principals",
    to({ principals: [TEAM] }),
    'rules[0].principals[0]: found the unknown member "claim", expected one of issuer value',
  ),
  bad(
    "an unknown member of a group",
    to({ groups: [{ ...TEAM, values: [] }] }),
    'rules[0].groups[0]: found the unknown member "values", expected one of issuer value claim; did you mean "value"?',
  ),
  bad(
    "an unknown member of a rule",
    rules({ groups: [TEAM], tool_allow_list: ["a"] }),
    'rules[0]: found the unknown member "tool_allow_list", expected one of principals groups workloads tool_allowlist prompt_allowlist resource_roots approval; did you mean "tool_allowlist"?',
  ),
  bad(
    "a member of the policy that a rule does not have",
    rules({ groups: [TEAM], tool_allowlist: ["a"], method_allowlist: ["x"] }),
    undefined,
  ),
  bad(
    "an object for the rules",
    withMembers({ rules: {} }),
    "rules: found an object, expected a list of objects with principals, groups or workloads",
  ),
  bad("a string among the rules", rules("alice"), `rules[0]: found the string "alice", expected ${RULE}`),
  bad(
    "a string among the principals",
    to({ principals: ["alice"] }),
    `rules[0].principals[0]: found the string "alice", expected ${PRINCIPAL}`,
  ),
  bad("a list among the groups", to({ groups: [[]] }), `rules[0].groups[0]: found a list, expected ${GROUP}`),
  bad("null for the principals", to({ principals: null }), undefined),
];

const ADDITIONS: ConfigurationRow[] = [
  good("a tool for some", gives({ tool_allowlist: ["merge"] })),
  good("a prompt for some", gives({ prompt_allowlist: ["review"] })),
  good("a root for some", gives({ resource_roots: ["mcp://logs/"] })),
  good("an exemption for some", gives({ approval: { exempt: ["delete_it"] } })),
  good("no approval for some", gives({ approval: { mode: "off" } })),
  good("no approval for some, where it is required", gives({ approval: { mode: "off" } }, { approval: REQUIRED })),
  good(
    "everything for some",
    gives({
      tool_allowlist: ["merge"],
      prompt_allowlist: ["review"],
      resource_roots: ["mcp://logs/"],
      approval: { exempt: ["merge"] },
    }),
  ),
  good("one tool that everybody has, and one more", gives({ tool_allowlist: ["echo", "merge"] })),
  good(
    "a root around one of everybody",
    gives({ resource_roots: ["mcp://logs"] }, { resource_roots: ["mcp://logs/a/"] }),
  ),
  good(
    "a root that only begins like one of everybody",
    gives({ resource_roots: ["mcp://logs-old/"] }, { resource_roots: ["mcp://logs"] }),
  ),
  good(
    "an exemption beside those of everybody",
    gives({ approval: { exempt: ["a", "b"] } }, { approval: { exempt: ["a"] } }),
  ),
  good(
    "a tool that another rule has as well",
    rules(...[ALICE, { ...ALICE, value: "bob" }].map((one) => ({ principals: [one], tool_allowlist: ["merge"] }))),
  ),
  good("256 roots for some", gives({ resource_roots: names(256).map((name) => `mcp://${name}/`) })),
  good("16384 tools for some", gives({ tool_allowlist: names(16_384) })),
  bad(
    "a rule that gives nothing",
    gives({}),
    "rules[0]: found nothing that it adds, expected tool_allowlist, prompt_allowlist, resource_roots or approval",
  ),
  ...["tool_allowlist", "prompt_allowlist", "resource_roots"].map((list) =>
    bad(
      `an empty ${list} for some`,
      gives({ [list]: [] }),
      `rules[0].${list}: found an empty list, expected at least one entry`,
    ),
  ),
  bad(
    "an empty list beside one that adds",
    gives({ tool_allowlist: ["merge"], prompt_allowlist: [] }),
    "rules[0].prompt_allowlist: found an empty list, expected at least one entry",
  ),
  bad("tools that everybody has", gives({ tool_allowlist: ["echo"] }), `rules[0].tool_allowlist: ${HAD}`, BESIDE),
  bad(
    "prompts that everybody has",
    gives({ prompt_allowlist: ["b", "a"] }, { prompt_allowlist: ["a", "b", "c"] }),
    `rules[0].prompt_allowlist: ${HAD}`,
    BESIDE,
  ),
  bad(
    "the root of everybody",
    gives({ resource_roots: ["mcp://logs/"] }, { resource_roots: ["mcp://logs/"] }),
    `rules[0].resource_roots: ${HAD}`,
    BESIDE,
  ),
  bad(
    "a root below one of everybody",
    gives({ resource_roots: ["mcp://logs/today/"] }, { resource_roots: ["mcp://logs/"] }),
    `rules[0].resource_roots: ${HAD}`,
    BESIDE,
  ),
  bad(
    "tools that everybody has, in a rule that adds a prompt",
    gives({ tool_allowlist: ["echo"], prompt_allowlist: ["review"] }),
    `rules[0].tool_allowlist: ${HAD}`,
    BESIDE,
  ),
  bad(
    "rules before the list that has it all",
    `{"rules":[{"workloads":["${PEER}"],"tool_allowlist":["echo"]}],"tool_allowlist":["echo"]}`,
    `rules[0].tool_allowlist: ${HAD}`,
    BESIDE,
  ),
  bad(
    "exemptions that everybody has",
    gives({ approval: { exempt: ["a"] } }, { approval: { exempt: ["a", "b"] } }),
    `rules[0].approval: ${HAD}`,
    BESIDE,
  ),
  ...[{ exempt: ["a"] }, { mode: "off" }].map((approval) =>
    bad(
      `${Object.keys(approval)} where approval is off for everybody`,
      gives({ approval }, { approval: { mode: "off" } }),
      `rules[0].approval: ${HAD}`,
      BESIDE,
    ),
  ),
  bad(
    "approval: required for some",
    gives({ approval: { mode: "required" } }),
    'rules[0].approval.mode: found the string "required", expected one of off',
  ),
  bad(
    "tools that need an approval of some alone",
    gives({ approval: { tools: ["a"] } }),
    'rules[0].approval: found the unknown member "tools", expected one of mode exempt',
  ),
  bad(
    "an empty approval for some",
    gives({ approval: {} }),
    "rules[0].approval: found no member, expected mode: off or exempt",
  ),
  bad(
    "no exemption for some",
    gives({ approval: { exempt: [] } }),
    "rules[0].approval.exempt: found an empty list, expected at least one entry",
  ),
  bad(
    "mode: off with exempt",
    gives({ approval: { mode: "off", exempt: ["a"] } }),
    "rules[0].approval: found mode: off with exempt, expected one of them without the other",
  ),
  bad(
    "a word for the approval of some",
    gives({ approval: "off" }),
    'rules[0].approval: found the string "off", expected an object with mode: off or exempt',
  ),
  bad(
    "257 roots for some",
    gives({ resource_roots: names(257).map((name) => `mcp://${name}/`) }),
    "rules[0].resource_roots: the list has too many entries, expected at most 256",
  ),
  bad(
    "a root for some that is not normal",
    gives({ resource_roots: ["mcp://logs/../x/"] }),
    "rules[0].resource_roots[0]: expected an absolute URI in its normal form: lower-case scheme, no dot segments, no user information, query or fragment",
  ),
  bad(
    "a tool for some twice",
    gives({ tool_allowlist: ["merge", "merge"] }),
    "rules[0].tool_allowlist[1]: found the same string a second time, expected distinct strings",
  ),
  bad(
    "an empty tool name for some",
    gives({ tool_allowlist: [""] }),
    'rules[0].tool_allowlist[0]: found the string "", expected a tool name of 1 to 256 bytes',
  ),
  bad(
    "a list of tools for some that is cut",
    '{"tool_allowlist":[],"rules":[{"tool_allowlist":["a"',
    "rules[0].tool_allowlist[1]: not acceptable JSON at byte 52: json_incomplete",
    "a schema judges values, and the text is none",
  ),
];

/** All rows about `rules`. */
export const IDENTITY_RULES: readonly ConfigurationRow[] = [...SELECTORS, ...ADDITIONS];

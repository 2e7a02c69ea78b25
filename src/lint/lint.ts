// Everything that there is to say about the policies of a file.

import { Filter, type FilterRefusal } from "../policy/filter.ts";
import { approvalFindings } from "./approval.ts";
import { argumentRuleFindings } from "./argument-rules.ts";
import { effectFindings } from "./effects.ts";
import { endpointFindings } from "./endpoints.ts";
import { type Finding, inOrder, memberText, type Path, type Position, type Severity, type Told } from "./finding.ts";
import { flagFindings } from "./flags.ts";
import { identityRuleFindings } from "./identity-rules.ts";
import { nameFindings } from "./names.ts";
import { rootFindings } from "./roots.ts";
import { schemaFindings } from "./schema.ts";
import { type PolicyText, readSource } from "./source.ts";
import { tokenFindings } from "./tokens.ts";
import { View } from "./view.ts";

/** Members that the filter is asked about one by one; a policy has no more of its own. */
const MEMBERS_ASKED_MAX = 100;

/** Members that the filter takes only beside others: it is asked about them together. */
const BESIDE: ReadonlyMap<string, readonly string[]> = new Map([
  ["rules", ["identity", "prompt_allowlist", "resource_roots", "approval", "tool_allowlist"]],
  ["authorization", ["token_exchange", "identity"]],
  ["token_exchange", ["authorization", "identity"]],
]);

/** What a file is found to be. */
export interface Lint {
  /** How many policies are in it. */
  readonly policies: number;
  /** In the order of the text. */
  readonly findings: readonly Finding[];
}

/** A file to look at. */
export interface LintInput {
  /** Its name, as findings have it. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Whether a policy that stands alone in it is taken as it is, as JSON, or as YAML. */
  readonly isJson: boolean;
}

/** Looks at files with one build of the filter. */
export class Linter {
  readonly #filter: Filter;

  /** @param module the bytes of `build/plugin.wasm`, which the caller does not change. */
  constructor(module: Uint8Array) {
    this.#filter = new Filter(module);
  }

  /** Everything that there is to say about a file. */
  lint({ name, bytes, isJson }: LintInput): Lint {
    const { policies, problems } = readSource(bytes, isJson);
    const findings = [
      ...problems.map((problem) => finding(name, "error", problem, problem.position)),
      ...policies.flatMap((policy) => this.#judge(name, policy)),
    ];
    return { policies: policies.length, findings: inOrder(findings) };
  }

  #judge(file: string, policy: PolicyText): Finding[] {
    const errors = this.#refusals(policy);
    const isGood = errors.length === 0;
    const fromSchema = policy.value === undefined ? [] : schemaFindings(policy.value);
    const beside = fromSchema.filter((told) => !errors.some((error) => isSame(error, told)));
    const refused = new Set(errors.map(({ path }) => path[0]));
    // What the filter takes is no error, whatever the schema thinks of it.
    const wrong = beside.filter(({ path }) => !isGood && (path.length === 0 || refused.has(path[0])));
    const odd = beside.filter((told) => !wrong.includes(told));
    const told: [Severity, Told][] = [
      ...[...errors, ...wrong].map((error): [Severity, Told] => ["error", explained(error, policy)]),
      ...odd.map((warning): [Severity, Told] => ["warning", warning]),
      ...this.#warnings(policy).map((warning): [Severity, Told] => ["warning", warning]),
    ];
    const errorPaths = new Set([...errors, ...wrong].map(({ path }) => memberText(path)));
    return told
      .filter(([severity, { path }]) => severity === "error" || !errorPaths.has(memberText(path)))
      .map(([severity, one]) => finding(file, severity, one, placeOf(one, policy)));
  }

  /** What the filter says against the policy as a whole, and, as it tells only the first mistake, against each of its members. */
  #refusals(policy: PolicyText): Told[] {
    const first = this.#filter.refusal(policy.configuration);
    if (first === undefined) return [];
    const told = new Map<string, Told>();
    const add = (refusal: FilterRefusal | undefined, member?: string) => {
      if (refusal === undefined) return;
      const one = toldBy(refusal, policy.value);
      // What is wrong with the only further member is about it, also where the filter names no place: a name that is too long.
      const placed = member !== undefined && one.path.length === 0 ? { ...one, path: [member], atName: true } : one;
      const key = JSON.stringify([placed.path, placed.what]);
      if (!told.has(key)) told.set(key, placed);
    };
    add(first);
    const { value } = policy;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [member, inner] of Object.entries(value).slice(0, MEMBERS_ASKED_MAX)) {
        const beside = (BESIDE.get(member) ?? []).filter((other) => Object.hasOwn(value, other));
        const alone = Object.fromEntries([
          ["tool_allowlist", []],
          ...beside.map((other) => [other, (value as Record<string, unknown>)[other]]),
          [member, inner],
        ]);
        add(this.#filter.refusal(JSON.stringify(alone)), member);
      }
    }
    return [...told.values()];
  }

  #warnings({ value, isResource, wordBooleans }: PolicyText): Told[] {
    const policy = new View(value);
    return [
      ...nameFindings(policy),
      ...flagFindings(policy),
      ...approvalFindings(policy),
      ...rootFindings(policy, this.#filter),
      ...argumentRuleFindings(policy),
      ...identityRuleFindings(policy, this.#filter),
      ...tokenFindings(policy, isResource),
      ...endpointFindings(policy),
      ...effectFindings(policy, isResource),
      ...(isResource ? [] : [...wordBooleans.values()].map(({ path, word }) => wordBoolean(path, word))),
    ];
  }
}

/** A refusal of the filter, in its words, at the member that it names. */
function toldBy({ place, words }: FilterRefusal, value: unknown): Told {
  const path = place === "configuration" ? [] : pathOf(place);
  const [, what = words, expected = ""] = /^(found .*?), expected (.*)$/s.exec(words) ?? [];
  const alone = /^expected (.*)$/s.exec(words)?.[1];
  const nearest = /; did you mean "([^"]*)"\?$/.exec(words)?.[1];
  const member = path.find((step) => typeof step === "string");
  const mend = nearest !== undefined ? `write ${nearest}` : member === undefined ? "" : `see docs/policy.md, ${member}`;
  const told = { rule: "filter" as const, what: alone === undefined ? what : "", expected: alone ?? expected, mend };
  const unknown = /^found the unknown member "((?:[^"\\]|\\u[0-9a-f]{4})*)"/.exec(words)?.[1];
  if (unknown === undefined) return { ...told, path };
  const holder = new View(value).at(...path).value;
  const names = typeof holder === "object" && holder !== null ? Object.keys(holder) : [];
  const name = names.find((candidate) => shownByFilter(candidate) === unknown);
  return name === undefined ? { ...told, path } : { ...told, path: [...path, name], atName: true };
}

/** `limits.depth` and `unguarded[0].methods[1]` as steps. */
function pathOf(place: string): Path {
  return [...place.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([step, index]) =>
    index === undefined ? step : Number(index),
  );
}

/** A text as a message of the filter repeats it: 64 bytes, and what is not plain ASCII byte by byte. */
function shownByFilter(text: string): string {
  return [...Buffer.from(text).subarray(0, 64)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[ !#-[\]-~]/.test(character) ? character : `\\u${byte.toString(16).padStart(4, "0")}`;
    })
    .join("");
}

/** Whether the schema says of the same member what the filter has said in its own words; a list or an object around that member is the same. */
function isSame(error: Told, schema: Told): boolean {
  const isMissing = /^found no /.test(schema.what);
  if (schema.path.length > error.path.length || (isMissing && schema.path.length < error.path.length)) return false;
  if (schema.path.length === 0 && error.path.length > 0) return false;
  return schema.path.every((step, index) => step === error.path[index]);
}

/** With the reason why a value is another than the file seems to say. */
function explained(told: Told, policy: PolicyText): Told {
  const found = policy.wordBooleans.get(JSON.stringify(told.path));
  if (found === undefined || !policy.isResource) return told;
  return {
    ...told,
    mend: `write "${found.word}" in quotes: for kubectl, which reads YAML 1.1, the plain word is a boolean`,
  };
}

function wordBoolean(path: Path, word: string): Told {
  const what = `found the plain word ${word}, which is a boolean for readers of YAML 1.1, kubectl among them`;
  return { rule: "yaml-boolean", path, what, expected: "quotes around it", mend: `write "${word}"` };
}

function placeOf({ path, atName, what }: Told, policy: PolicyText): Position {
  const offset = /^not acceptable JSON at byte (\d+)/.exec(what)?.[1];
  const inText = offset === undefined ? undefined : policy.placeOfByte(Number(offset));
  return inText ?? policy.place(path, atName);
}

function finding(file: string, severity: Severity, told: Told, { line, column }: Position): Finding {
  const { rule, path, what, expected = "", mend = "" } = told;
  return { file, line, column, severity, rule, member: memberText(path), what, expected, mend };
}

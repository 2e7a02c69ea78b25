// What the pages show and point at. Every fenced JSON or YAML block is parsed, and the policy in it is put before the schema
// and the filter; every link and every path of the tree leads somewhere.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { complaints, VERSION_MEMBER, writeRecord } from "../../src/audit/record.ts";
import { Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { schemaComplaints } from "../config/schema.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));

const RECORD_MEMBERS = (
  JSON.parse(readFileSync(projectPath("schema", "audit-record.schema.json"), "utf8")) as { properties: object }
).properties;
const isPartOfRecord = new Ajv2020().compile({ properties: RECORD_MEMBERS, additionalProperties: false });

const PAGES = [
  ...["README.md", "CHANGELOG.md", "SECURITY.md", "filters/README.md", "schema/policy-digest.md"],
  ...readdirSync(projectPath("docs"))
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
];

const read = (page: string): string => readFileSync(projectPath(page), "utf8");

/** A fenced block with its line. */
interface Example {
  place: string;
  text: string;
}

const examples: Example[] = PAGES.flatMap((page) => {
  const text = read(page);
  return [...text.matchAll(/^( *)```(json|yaml)\n([\s\S]*?)^ *```$/gm)].map((match) => ({
    place: `${page}:${text.slice(0, match.index).split("\n").length}`,
    text: (match[3] ?? "").replaceAll(new RegExp(`^${match[1]}`, "gm"), ""),
  }));
});

/** The policies inside an example, as text for the filter; undefined when it is none of the kinds that the pages show. */
function policiesOf(value: unknown): string[] | undefined {
  if (Array.isArray(value)) return value.flatMap((item) => policiesOf(item) ?? []);
  if (!isObject(value)) return undefined;
  if (value.kind === "WasmPlugin") return [JSON.stringify(at(value, "spec", "pluginConfig"))];
  if ("typed_config" in value) {
    const configuration = at(value, "typed_config", "config", "configuration", "value");
    return typeof configuration === "string" ? [configuration] : [];
  }
  if ("http_filters" in value) return policiesOf(value.http_filters);
  // What a manifest of a workload has for its proxy.
  if ("metadata" in value) return [];
  // A message to or from a client, an entry of the access log, an audit record or a part of one.
  if ("jsonrpc" in value || "response_code" in value || isOfRecord(value)) return [];
  return [JSON.stringify(value)];
}

function isOfRecord(value: Record<string, unknown>): boolean {
  return "mcp_guard.decision" in value;
}

/** What is wrong with an audit record, or with the members of a part of one. */
function recordComplaints(value: unknown): readonly object[] {
  if (!isObject(value) || !isOfRecord(value)) return [];
  if (VERSION_MEMBER in value) return complaints(writeRecord(value), value);
  return isPartOfRecord(value) ? [] : (isPartOfRecord.errors ?? []);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function at(value: unknown, ...names: string[]): unknown {
  return names.reduce((inner, name) => (isObject(inner) ? inner[name] : undefined), value);
}

test("the pages have examples", () => {
  expect(examples.length).toBeGreaterThan(20);
});

describe.each(examples.map((example) => [example.place, example] as const))("%s", (_, { text }) => {
  test("parses, its policy is accepted by the schema and by the filter, and its record by the schema", () => {
    const example: unknown = parse(text);
    expect(recordComplaints(example)).toEqual([]);
    const policies = policiesOf(example);
    expect(policies).toBeDefined();
    for (const policy of policies ?? []) {
      expect(schemaComplaints(JSON.parse(policy))).toEqual([]);
      const vm = Vm.load(MODULE, { environment: { MCP_GUARD_CLIENT_SECRET: "a-secret" } });
      const { accepted } = vm.startPlugin(policy);
      expect(vm.logs.filter(({ level }) => level === "error")).toEqual([]);
      expect(accepted).toBe(true);
    }
  });
});

describe.each(PAGES)("%s", (page) => {
  test("links to files and headings that are there", () => {
    const broken = [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !target.includes("://"))
      .filter((target) => {
        const [file = "", heading] = target.split("#");
        const linked = file === "" ? page : path.posix.join(path.posix.dirname(page), file);
        if (!existsSync(projectPath(linked))) return true;
        return heading !== undefined && !anchors(read(linked)).includes(heading);
      });
    expect(broken).toEqual([]);
  });

  test("names files that are there", () => {
    const named = [
      ...read(page).matchAll(/`((?:assembly|test|src|schema|docs|deploy|envoy|filters|scripts)\/[\w./-]+)`/g),
    ];
    expect(named.map((match) => match[1] ?? "").filter((file) => !existsSync(projectPath(file)))).toEqual([]);
  });
});

function withoutCode(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, "");
}

/** The headings of a page as the fragments that lead to them. */
function anchors(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

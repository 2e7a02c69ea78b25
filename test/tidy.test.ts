// The tree's own rules, as far as a machine can hold it to them. Each message says what to do instead.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Files that git knows or would know, relative to the root. */
const FILES = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
  maxBuffer: 64 << 20,
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(path.join(ROOT, file)))
  .sort();

const text = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const TEXT_FILES = FILES.filter((file) => !/\.(png|wasm|ico)$/.test(file));
const CODE = FILES.filter((file) => /\.(ts|mjs|sh)$/.test(file) && file !== "test/tidy.test.ts");
const FILTER = FILES.filter((file) => file.startsWith("assembly/") && file.endsWith(".ts"));

/** The lines of `files` that match, as `file:line: text`. */
function linesWith(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    text(file)
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );
}

/** A line of AssemblyScript without its comment and without the text of its strings. */
function codeOf(line: string): string {
  return line
    .replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g, '""')
    .replace(/\/\/.*$/, "")
    .replace(/^\s*(\/?\*).*$/, "");
}

/** The lines of code of `files` that match, comments and strings left out. */
function codeWith(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    text(file)
      .split("\n")
      .flatMap((line, i) => (pattern.test(codeOf(line)) ? [`${file}:${i + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );
}

describe("layout", () => {
  it("has the top level that the standard's card names", () => {
    for (const entry of ["assembly", "test", "envoy", "asconfig.json", "package.json", "Makefile", "README.md"]) {
      expect(existsSync(path.join(ROOT, entry)), entry).toBe(true);
    }
    expect(text(".gitignore")).toMatch(/^build\/$/m);
  });

  it("has nothing else at the top level", () => {
    const allowed = new Set([
      ...[
        ".ci",
        ".editorconfig",
        ".gitignore",
        ".npmrc",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
      ],
      ...[
        "approval",
        "asconfig.json",
        "assembly",
        "bench",
        "biome.json",
        "deploy",
        "docs",
        "envoy",
        "examples",
        "filters",
        "package-lock.json",
      ],
      ...["package.json", "schema", "scripts", "src", "terraform", "test", "tsconfig.build.json", "tsconfig.json"],
      ...["vitest.config.ts"],
    ]);
    expect([...new Set(FILES.map((file) => file.split("/")[0] ?? ""))].filter((entry) => !allowed.has(entry))).toEqual(
      [],
    );
  });

  it("names no file a bag", () => {
    expect(FILES.filter((file) => /(^|\/)(utils?|helpers?|common|misc|shared)\.[a-z]+$/.test(file))).toEqual([]);
  });

  it("begins every source file with what it is for", () => {
    const silent = CODE.filter((file) => file.startsWith("assembly/") && !/^\/\//.test(text(file)));
    expect(silent, "the first line says what the file is for").toEqual([]);
  });
});

describe("imports of the filter", () => {
  // From the folder to those that it may import; limits.ts and memory/ are open to all.
  const ALLOWED: Record<string, readonly string[]> = {
    "": ["host", "stream"],
    stream: [
      "host",
      "json",
      "sse",
      "mcp",
      "policy",
      "uri",
      "rewrite",
      "config",
      "audit",
      "approval",
      "identity",
      "token",
      "rate",
    ],
    rewrite: ["json", "mcp", "policy"],
    config: ["json", "mcp", "policy", "uri"],
    audit: ["host", "json", "policy"],
    approval: ["host", "json", "policy"],
    identity: ["host", "policy"],
    token: ["host", "json", "policy"],
    rate: ["policy"],
    policy: ["json", "mcp", "uri"],
    mcp: ["json"],
    json: [],
    sse: [],
    uri: [],
    host: [],
    memory: [],
  };

  it("follow the layers", () => {
    const wrong: string[] = [];
    for (const file of FILTER) {
      const folder = file.split("/").length === 3 ? (file.split("/")[1] ?? "") : "";
      for (const match of text(file).matchAll(/from "(\.[^"]+)"/g)) {
        const target = path.posix.join(path.posix.dirname(file), match[1] ?? "").replace(/^assembly\//, "");
        const into = target.includes("/") ? (target.split("/")[0] ?? "") : target;
        if (into === folder || into === "limits" || into === "memory") continue;
        if (!(ALLOWED[folder] ?? []).includes(into)) wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong, "docs/architecture.md has the layers").toEqual([]);
  });

  it("bring host functions in through host/env.ts alone", () => {
    const declared = codeWith(FILTER, /\bdeclare function\b/);
    expect(declared.filter((line) => !/^assembly\/host\/(env|wasi_snapshot_preview1)\.ts:/.test(line))).toEqual([]);
    const sdk = linesWith(FILTER, /@solo-io\/proxy-runtime/);
    expect(sdk.filter((line) => !line.startsWith("assembly/host/env.ts:"))).toEqual([]);
    const abi = codeWith(FILTER, /\bproxy_(?!on_|abi_)/);
    expect(
      abi.filter((line) => !line.startsWith("assembly/host/")),
      "only host/ knows the ABI",
    ).toEqual([]);
  });

  it("of the Node host take nothing from the filter's sources", () => {
    expect(
      linesWith(
        FILES.filter((file) => file.startsWith("src/")),
        /from "[./]+\/assembly\//,
      ),
    ).toEqual([]);
  });
});

describe("the filter's dialect", () => {
  const HOT = FILTER.filter((file) =>
    /^assembly\/(approval|audit|identity|json|mcp|policy|rate|rewrite|sse|stream|token|uri)\//.test(file),
  );

  it("allocates nothing that the garbage collector sees on the request path", () => {
    expect(
      codeWith(HOT, /\bnew\b|\bArray\b|\bMap\b|\bSet\b|\bstring\b|=>/),
      "use unmanaged records and Literal",
    ).toEqual([]);
  });

  it("takes memory only where it is accounted for", () => {
    const allocations = codeWith(HOT, /heap\.alloc/);
    const places = [
      "approval/hold.ts",
      "approval/receipt.ts",
      "policy/approver.ts",
      "audit/chain.ts",
      "audit/queue.ts",
      "json/allocate.ts",
      "json/members.ts",
      "json/reader.ts",
      "mcp/mirror.ts",
      "policy/argument-rule.ts",
      "policy/collector.ts",
      "policy/grant.ts",
      "policy/hints.ts",
      "policy/identity.ts",
      "policy/name-set.ts",
      "policy/policy.ts",
      "policy/rate-limit.ts",
      "policy/rules.ts",
      "policy/token-service.ts",
      "rate/principals.ts",
      "rate/rates.ts",
      "rewrite/rewriter.ts",
      "stream/exchange.ts",
      "stream/facts.ts",
      "stream/tool-counters.ts",
      "stream/guard.ts",
      "stream/inspection.ts",
      "stream/rewriting.ts",
      "token/cache.ts",
      "token/flight.ts",
      "token/turn.ts",
    ];
    expect(allocations.filter((line) => !places.some((place) => line.startsWith(`assembly/${place}:`)))).toEqual([]);
  });

  it("has no decorated function, no prefix cast, no throw", () => {
    expect(codeWith(FILTER, /^@(?!unmanaged\b)/), "decorators on classes only").toEqual([]);
    expect(codeWith(FILTER, /[=(,&|+\-*]\s*<(u|i)(8|16|32|64|size)>/), "write u32(x)").toEqual([]);
    expect(codeWith(FILTER, /\bthrow\b|\bassert\(/), "no trap may be reachable from input").toEqual([]);
    expect(codeWith(FILTER, /\bDate\b|Math\.random|\btrace\(/), "they import functions that the host lacks").toEqual(
      [],
    );
    expect(linesWith(FILTER, /@ts-ignore/)).toEqual([]);
  });

  it("says why each raw access stays in bounds", () => {
    const silent = FILTER.flatMap((file) =>
      functionsOf(text(file))
        .filter(({ body }) => /\b(load|store)<|v128\.(load|store)/.test(body) && !body.includes("SAFETY:"))
        .map(({ name }) => `${file}: ${name}`),
    );
    expect(silent, "a function with a raw load or store has a SAFETY line").toEqual([]);
  });

  it("bounds everything by a name in limits.ts", () => {
    const reasonless = text("assembly/limits.ts")
      .split("\n")
      .flatMap((line, i, lines) => {
        if (!line.startsWith("export const ")) return [];
        // A range's ends share the comment of the default in front of them.
        const before = lines
          .slice(0, i)
          .reverse()
          .find((other) => !other.startsWith("export const "));
        return before?.startsWith("/**") ? [] : [line];
      });
    expect(reasonless).toEqual([]);
  });

  /** The top-level functions of a source text. */
  function functionsOf(source: string): { name: string; body: string }[] {
    return source.split(/^(?=(?:export )?function )/m).flatMap((body) => {
      const name = /^(?:export )?function (\w+)/.exec(body)?.[1];
      // Up to the closing brace at the line's beginning.
      return name === undefined ? [] : [{ name, body: body.slice(0, body.search(/^}/m)) }];
    });
  }
});

describe("the Node sources", () => {
  it("end the process in one place", () => {
    const exits = codeWith(
      FILES.filter((file) => file.startsWith("src/")),
      /process\.exit\(/,
    );
    expect(exits.filter((line) => !line.startsWith("src/cli/main.ts:"))).toEqual([]);
  });

  it("export by name", () => {
    const defaults = linesWith(
      FILES.filter((file) => /^(src|test)\/.*\.ts$/.test(file)),
      /^export default /,
    );
    expect(defaults).toEqual([]);
  });
});

describe("leftovers", () => {
  it("have no place in the tree", () => {
    expect(linesWith(CODE, /\b(FIXME|TODO|XXX|HACK)\b/), "do it, or write an issue").toEqual([]);
    expect(linesWith(CODE, /\b(describe|it|test)\.(only|skip|todo)\(|\bxit\(/), "no test is left out").toEqual([]);
    expect(FILES.filter((file) => /\.(disabled|orig|bak|rej)$|(^|\/)TODO\.md$/.test(file))).toEqual([]);
    expect(
      linesWith(CODE, /^\s*\/\/\s*(const|let|if|return|import|export|function)\b.*[;{]$/),
      "no code in comments",
    ).toEqual([]);
  });

  it("do not name a machine, a package registry or the way of working", () => {
    const own = TEXT_FILES.filter((file) => file !== "test/tidy.test.ts" && file !== "LICENSE");
    expect(linesWith(own, /(^|[\s"'`(=])\/(work|root|home)\//)).toEqual([]);
    const registries = /registry\.npmjs|pypi\.org|pythonhosted|proxy\.golang|crates\.io|maven\.org|deb\.debian/;
    expect(linesWith(own, registries)).toEqual([]);
    expect(text("package-lock.json")).not.toMatch(/"resolved"/);
  });
});

describe("files", () => {
  it("are text with a last line break, without tabs and trailing blanks", () => {
    const plain = TEXT_FILES.filter(
      (file) => !/^(LICENSE|package-lock\.json|test\/fixtures\/|test\/corpus\/)/.test(file),
    );
    expect(plain.filter((file) => text(file) !== "" && !text(file).endsWith("\n"))).toEqual([]);
    expect(linesWith(plain, /[ \t]+$/)).toEqual([]);
    expect(
      linesWith(
        // Make and gofmt want them.
        plain.filter((file) => path.basename(file) !== "Makefile" && !/\.go$|(^|\/)go\.mod$/.test(file)),
        /\t/,
      ),
    ).toEqual([]);
  });

  it("are small enough to review", () => {
    const large = FILES.filter(
      (file) => file !== "package-lock.json" && readFileSync(path.join(ROOT, file)).length > 256 << 10,
    );
    expect(large).toEqual([]);
  });
});

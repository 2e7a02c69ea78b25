// The image of the approval service. Goal: what is copied into it is there, it runs as nobody in particular from pinned parts, and every package that the
// service imports is one that an installation without the packages for development has. Method: approval/Dockerfile as a text, and the imports of the
// sources, followed from approval/main.ts.
import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";

const text = readFileSync(projectPath("approval", "Dockerfile"), "utf8");
const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
const wordsOf = (instruction: string) =>
  lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.split(" ").slice(1));

/** The packages that a file imports, itself and through what it imports. */
function packagesOf(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const source = readFileSync(file, "utf8");
  // Types are gone when it runs.
  const names = [
    ...source.matchAll(/^(?:import|export)\b(?!\s+type\b)[^;]*?from\s+"([^"]+)";|\bimport\("([^"]+)"\)/gms),
  ]
    .map(([, from, called]) => from ?? called ?? "")
    .concat([...source.matchAll(/\.resolve\("([^"]+)"\)/g)].map(([, name]) => name ?? ""));
  return names.flatMap((name) => {
    if (name.startsWith(".")) return packagesOf(path.join(path.dirname(file), name), seen);
    return isBuiltin(name) ? [] : [/^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name];
  });
}

test("each package that the service imports is installed without those for development", () => {
  const { dependencies } = JSON.parse(readFileSync(projectPath("package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const packages = [...new Set(packagesOf(projectPath("approval", "main.ts")))];
  expect(packages).toEqual(expect.arrayContaining(["fastify", "jose", "libsql", "openid-client", "pg"]));
  expect(packages.filter((name) => !Object.hasOwn(dependencies, name))).toEqual([]);
});

test("what is copied from the repository is there, and Docker is let see it", () => {
  const ignored = readFileSync(projectPath("approval", "Dockerfile.dockerignore"), "utf8").split("\n");
  expect(ignored).toContain("*");
  const copied = wordsOf("COPY")
    .filter(([first]) => first?.startsWith("--from=") === false)
    .flatMap((words) => words.slice(0, -1));
  expect(copied.length).toBeGreaterThan(5);
  for (const name of copied) {
    expect(existsSync(projectPath(name)), name).toBe(true);
    expect(ignored, name).toContain(`!${name.split("/")[0]}`);
  }
});

test("the folders that the service looks for beside its code are copied", () => {
  const copied = wordsOf("COPY").flatMap((words) => words.slice(0, -1));
  for (const name of ["asconfig.json", "package.json", "approval/assets", "approval/store/migrations"]) {
    expect(copied).toContain(name);
  }
});

test("it runs as a number that is the manifest's, and installs without scripts", () => {
  expect(wordsOf("USER")).toEqual([["10001:10001"]]);
  const installs = wordsOf("RUN").filter((words) => words.includes("npm"));
  expect(installs.length).toBe(2);
  for (const words of installs) expect(words.slice(0, 3)).toEqual(["npm", "ci", "--ignore-scripts"]);
  // The last stage takes the packages of the one without those for development.
  expect(text).toMatch(/AS packages\n[\s\S]*?--omit=dev[\s\S]*?AS build/);
  expect(wordsOf("COPY").filter((words) => words.at(-1) === "./node_modules")).toEqual([
    ["--from=packages", "/app/node_modules", "./node_modules"],
  ]);
});

test("its base is named by whoever builds it", () => {
  expect(wordsOf("ARG")[0]).toEqual(["NODE_IMAGE"]);
  for (const [image] of wordsOf("FROM")) expect(image).toMatch(/^\$\{(NODE|RUNTIME)_IMAGE\}$/);
});

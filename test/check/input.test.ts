// What mcp-guard check reads. Goal: folders, files and the standard input give the objects that can be in one cluster, and what cannot be read is
// told with its place. Method: files in a folder of their own.
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Input, readInput } from "../../src/check/input.ts";
import { objectName } from "../../src/check/kube-object.ts";
import { FILE_BYTES_MAX, FILES_MAX, HCL_LENGTH_MAX, INPUT_BYTES_MAX, OBJECTS_MAX } from "../../src/check/limits.ts";
import { readSources } from "../../src/check/sources.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-check-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string | Uint8Array): string {
  const place = path.join(folder, name);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, text);
  return place;
}

const pod = (name: string, namespace = "desk"): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, namespace: ${namespace} }\n`;
const read = async (...names: string[]): Promise<Input> => readInput(readSources(names));
const refusal = (message: RegExp) =>
  expect.objectContaining({ code: "ERR_USAGE", message: expect.stringMatching(message) });
const shown = ({ deployments }: Input): string[][] => deployments.map(({ objects }) => objects.map(objectName));

describe("a folder", () => {
  test("is read with what is below it", async () => {
    write("b.yaml", pod("one"));
    write("a/deep/c.yml", `${pod("two")}---\n${pod("three")}`);
    write("d.json", JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "four" } }));
    expect(shown(await read(folder))).toEqual([["Pod desk/two", "Pod desk/three", "Pod desk/one", "Pod default/four"]]);
  });

  test("is read without other files, hidden ones, packages and links to folders", async () => {
    write("a.yaml", pod("one"));
    for (const name of ["b.txt", ".c.yaml", ".git/d.yaml", "node_modules/e.yaml", "f.yaml.bak"]) write(name, pod("no"));
    symlinkSync(folder, path.join(folder, "loop"));
    symlinkSync(path.join(folder, "nowhere.yaml"), path.join(folder, "gone.yaml"));
    expect(shown(await read(folder))).toEqual([["Pod desk/one"]]);
  });

  test("of Kustomize is left out, and that is told", async () => {
    write("rendered/a.yaml", pod("one"));
    write("base/kustomization.yaml", "resources: [a.yaml]\n");
    write("base/a.yaml", "kind: [\n");
    write("base/inner/b.yaml", pod("two"));
    const input = await read(folder);
    expect(shown(input)).toEqual([["Pod desk/two", "Pod desk/one"]]);
    expect(input.notices).toEqual([
      expect.stringMatching(/^sources of Kustomize, not looked at: .*base; hand in what it renders$/),
    ]);
  });

  test("with texts that are no objects tells of them", async () => {
    write("a.yaml", pod("one"));
    write("values.yaml", "replicas: 3\n");
    write("dashboard.json", "{}");
    expect((await read(folder)).notices).toEqual([
      expect.stringMatching(/^without a Kubernetes object: 2 files, the first is .*dashboard\.json$/),
    ]);
  });

  test("without any object is refused", async () => {
    write("values.yaml", "replicas: 3\n");
    await expect(read(folder)).rejects.toEqual(refusal(/^found no Kubernetes object, expected rendered manifests/));
  });
});

describe("files that define the same object", () => {
  test("are deployments of their own, each with what is defined once", async () => {
    write("one.yaml", `${pod("server")}---\n${pod("a")}`);
    write("two.yaml", pod("server"));
    write("both.yaml", pod("gateway"));
    const input = await read(folder);
    expect(shown(input)).toEqual([
      ["Pod desk/server", "Pod desk/a", "Pod desk/gateway"],
      ["Pod desk/server", "Pod desk/gateway"],
    ]);
    expect(input.deployments.map(({ name }) => path.basename(name))).toEqual(["one.yaml", "two.yaml"]);
  });

  test("are none when group, kind, namespace or name differ", async () => {
    write("one.yaml", pod("server"));
    write(
      "two.yaml",
      `${pod("server", "office")}---\n${pod("server").replace("Pod", "Service")}---\n${pod("server").replace("v1", "x.example/v1")}`,
    );
    expect((await read(folder)).deployments.length).toBe(1);
  });

  test("in one file are refused", async () => {
    const file = write("a.yaml", `${pod("server")}---\n${pod("server")}`);
    await expect(read(file)).rejects.toEqual(refusal(/a\.yaml:5:1: found Pod desk\/server twice, first in line 1$/));
  });
});

describe("single texts", () => {
  test("a List has its items", async () => {
    const file = write(
      "a.yaml",
      "apiVersion: v1\nkind: List\nitems:\n- { apiVersion: v1, kind: Pod, metadata: { name: x } }\n- apiVersion: v1\n  kind: PodList\n  items:\n  - { apiVersion: v1, kind: Pod, metadata: { name: z } }\n",
    );
    const { deployments } = await read(file);
    const objects = deployments[0]?.objects ?? [];
    expect(objects.map((object) => `${objectName(object)} ${object.at(["metadata", "name"]).line}`)).toEqual([
      "Pod default/x 4",
      "Pod default/z 8",
    ]);
  });

  test("the standard input is read once, and a file as well", async () => {
    const descriptor = openSync(write("a.yaml", pod("one")), "r");
    const { sources } = readSources(["-", write("b.yaml", pod("two"))], descriptor);
    closeSync(descriptor);
    expect(sources.map(({ file, text }) => [path.basename(file), text])).toEqual([
      ["stdin", pod("one")],
      ["b.yaml", pod("two")],
    ]);
  });

  test("a file that is named twice is read once", async () => {
    const file = write("a.yaml", pod("one"));
    expect(shown(await read(file, folder, file))).toEqual([["Pod desk/one"]]);
  });

  test.each([
    [
      "a file without objects",
      "a.yaml",
      "a: 1\n",
      /a\.yaml: found no Kubernetes object, expected manifests or Terraform/,
    ],
    ["a template", "a.yaml", "{{- if .Values.on }}\nkind: Pod\n{{- end }}\n", /a\.yaml:1:\d+: /],
    ["HCL with a mistake", "a.tf", "a = = 1\n", /a\.tf:1:5: Invalid expression/],
    ["bytes that are no text", "a.yaml", Buffer.from([0x61, 0xff, 0xfe]), /a\.yaml: found bytes that are no UTF-8/],
    ["a file over the bound", "a.yaml", "#".repeat(FILE_BYTES_MAX + 1), /a\.yaml: found more than 4194304 bytes/],
    ["Terraform alone", "a.tf", 'resource "a" "b" {}\n', /found no Kubernetes object/],
    ["too many objects", "a.yaml", listOf(OBJECTS_MAX + 1), /found more than 5000 Kubernetes objects/],
  ])("%s is refused", async (_, name, text, message) => {
    await expect(read(write(name, text))).rejects.toEqual(refusal(message));
  });

  test("a file that is not there is refused", () => {
    expect(() => readSources([path.join(folder, "x.yaml")])).toThrow(
      refusal(/x\.yaml: there is no such file or folder/),
    );
  });

  function listOf(count: number): string {
    return JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: Array.from({ length: count }, (_, i) => ({ apiVersion: "v1", kind: "Pod", metadata: { name: `p${i}` } })),
    });
  }
});

describe("bounds of all files together", () => {
  test("bytes", () => {
    for (let i = 0; i <= INPUT_BYTES_MAX / FILE_BYTES_MAX; i++) write(`${i}.yaml`, "#".repeat(FILE_BYTES_MAX));
    expect(() => readSources([folder])).toThrow(refusal(/found more than 16777216 bytes in all files together/));
  });

  test("letters of Terraform", async () => {
    for (let i = 0; i < 5; i++) write(`${i}.tf`, "#".repeat(HCL_LENGTH_MAX));
    write("a.yaml", pod("one"));
    await expect(read(folder)).rejects.toEqual(refusal(/4\.tf: found more than 1048576 letters/));
  });

  test("files", () => {
    for (let i = 0; i <= FILES_MAX; i++) write(`${i}.yaml`, "");
    expect(() => readSources([folder])).toThrow(refusal(/found more than 2000 files/));
  });
});

// Names of repositories and tags. Goal: what every registry takes is taken, and a mistake is named. Method: the grammar of
// the distribution specification, row by row.
import { expect, test } from "vitest";
import { apiHost, hostName, parseRepository, parseTag, pinnedUrl } from "../../src/oci/reference.ts";

test.each([
  ["registry.example/mcp-guard", "registry.example", "mcp-guard"],
  ["registry.example:5000/team/mcp_guard", "registry.example:5000", "team/mcp_guard"],
  ["localhost/a", "localhost", "a"],
  ["127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c"],
  ["[::1]:5000/a__b", "[::1]:5000", "a__b"],
  ["docker.io/team/mcp-guard", "docker.io", "team/mcp-guard"],
  ["registry.example/a---b.c", "registry.example", "a---b.c"],
])("%s is a repository", (text, registry, name) => {
  expect(parseRepository(text)).toEqual({ registry, name });
});

test.each([
  ["mcp-guard", "the registry's host is missing"],
  ["team/mcp-guard", "the registry's host is missing"],
  ["", "the registry's host is missing"],
  ["oci://registry.example/a", "a scheme has no place here"],
  ["registry.example/a:v1", "the tag goes into TAG"],
  [`registry.example/a@sha256:${"0".repeat(64)}`, "a digest has no place here"],
  ["registry.example/Team/a", '"Team/a" is no repository name'],
  ["registry.example/a//b", '"a//b" is no repository name'],
  ["registry.example/../b", '"../b" is no repository name'],
  ["registry.example/a.", '"a." is no repository name'],
  ["registry.example/a___b", '"a___b" is no repository name'],
  ["registry.example/", '"" is no repository name'],
  ["registry.example/a?x=1", '"a?x=1" is no repository name'],
  [`registry.example/${"a".repeat(256)}`, "the name is longer than 255 characters"],
  ["user@registry.example/a", "a digest has no place here"],
  ["-registry.example/a", '"-registry.example" is no host'],
  ["registry.example:port/a", '"registry.example:port" is no host'],
  ["registry_x.example/a", '"registry_x.example" is no host'],
])("%s is refused", (text, words) => {
  expect(() => parseRepository(text)).toThrow(words);
});

test.each(["v1", "latest", "_", "1.0.0-rc.1", "a".repeat(128)])("%s is a tag", (tag) => {
  expect(parseTag(tag)).toBe(tag);
});

test.each(["", ".v1", "-v1", "v 1", "v/1", "v1:2", "é", "a".repeat(129)])('"%s" is no tag', (tag) => {
  expect(() => parseTag(tag)).toThrow("expected 1 to 128 letters");
});

test("the registry of docker.io answers under another name", () => {
  const repository = parseRepository("docker.io/team/a");
  expect(apiHost(repository)).toBe("registry-1.docker.io");
  expect(pinnedUrl(repository, "sha256:0")).toBe("oci://docker.io/team/a@sha256:0");
});

test.each([
  ["localhost:5000/a", "localhost"],
  ["[::1]:5000/a", "[::1]"],
  ["[::1]/a", "[::1]"],
  ["registry.example/a", "registry.example"],
])("the host of %s", (text, host) => {
  expect(hostName(parseRepository(text))).toBe(host);
});

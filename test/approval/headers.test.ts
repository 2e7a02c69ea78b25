// Headers of everything that a browser gets. Goal: no page in a frame, no foreign or inline script, nothing in a cache, whatever the answer is.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PageRig, signedIn, startPages, Visitor } from "./visitor.ts";

let rig: PageRig;

beforeAll(async () => {
  rig = await startPages();
});

afterAll(() => rig.stop());

/** The directives of a policy. */
function directives(policy: unknown): Map<string, string> {
  return new Map(
    String(policy)
      .split("; ")
      .map((directive) => [directive.split(" ")[0] ?? "", directive.split(" ").slice(1).join(" ")]),
  );
}

const EVERYWHERE: readonly [what: string, path: string, status: number, signedIn: boolean][] = [
  ["a page", "/", 200, true],
  ["a page of passkeys", "/passkeys", 200, true],
  ["an approval that is not there", "/a/AAAAAAAAAAAAAAAAAAAAAA", 404, true],
  ["a path that is not there", "/nowhere", 404, false],
  ["a redirect to the sign-in", "/", 303, false],
  ["a redirect to the provider", "/sign-in", 303, false],
  ["a sign-in that failed", "/callback?state=x&code=y", 400, false],
  ["the page after the sign-out", "/signed-out", 200, false],
  ["the style", "/assets/style.css", 200, false],
  ["the script", "/assets/page.js", 200, false],
  ["the library's script", "/assets/webauthn/index.js", 200, false],
];

describe.each(EVERYWHERE)("%s (%s)", (_what, path, status, withSession) => {
  test("has all headers", async () => {
    const visitor = withSession ? await signedIn(rig, "alice") : new Visitor(rig);
    const { statusCode, headers } = await visitor.get(path);
    expect(statusCode).toBe(status);
    const policy = directives(headers["content-security-policy"]);
    expect(Object.fromEntries(policy)).toEqual({
      "default-src": "'none'",
      "script-src": "'self'",
      "style-src": "'self'",
      "img-src": "'self'",
      "connect-src": "'self'",
      "form-action": "'self'",
      "base-uri": "'none'",
      "frame-ancestors": "'none'",
      "require-trusted-types-for": "'script'",
      "trusted-types": "'none'",
    });
    expect(headers).toMatchObject({
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "strict-transport-security": "max-age=31536000",
    });
    expect(headers["permissions-policy"]).toContain("publickey-credentials-get=(self)");
    expect(headers["cache-control"]).toBe(path.startsWith("/assets/") ? "no-cache" : "no-store");
  });
});

describe("pages", () => {
  test("have no script, style or handler of their own in them", async () => {
    const id = await rig.open();
    const visitor = await signedIn(rig, "alice");
    for (const path of ["/", `/a/${id}`, "/passkeys", "/signed-out"]) {
      const { body } = await visitor.get(path);
      expect(body.match(/<script\b[^>]*>/g)).toEqual(['<script type="module" src="/assets/page.js">']);
      expect(body).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i);
    }
  });

  test("without https do not ask for it", async () => {
    const local = await startPages({ publicUrl: "http://localhost:8080" });
    const { headers } = await new Visitor(local).get("/signed-out");
    expect(headers["strict-transport-security"]).toBeUndefined();
    await local.stop();
  });
});

describe("files beside the pages", () => {
  test.each([
    ["an absent one", "/assets/absent.js"],
    ["one above the folder", "/assets/..%2fbrowser/session.ts"],
    ["one above the folder, unescaped", "/assets/../browser/session.ts"],
    ["the library's other files", "/assets/webauthn/package.json"],
    ["the folder", "/assets/"],
  ])("are not served: %s", async (_what, path) => {
    const { statusCode, body } = await new Visitor(rig).get(path);
    expect([400, 403, 404]).toContain(statusCode);
    expect(body).not.toContain("import ");
  });

  test("are scripts that name only files that are served", async () => {
    const visitor = new Visitor(rig);
    const seen = new Set<string>();
    const wanted = ["/assets/page.js"];
    for (let path = wanted.pop(); path !== undefined; path = wanted.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const { statusCode, headers, body } = await visitor.get(path);
      expect(statusCode, path).toBe(200);
      expect(headers["content-type"], path).toMatch(/javascript/);
      for (const [, target = ""] of body.matchAll(/\bfrom ["']([^"']+)["']/g)) {
        wanted.push(new URL(target, `http://host${path}`).pathname);
      }
    }
    expect(seen.size).toBeGreaterThan(5);
  });
});

// Settings: what is right is typed, and what is wrong is named.
import { describe, expect, it } from "vitest";
import { type Environment, readDatabasePlace, readSettings } from "../../approval/settings.ts";
import { GuardError } from "../../src/error.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET = "fedcba9876543210fedcba9876543210";
const LEAST: Environment = {
  PUBLIC_URL: "https://approve.example.com",
  SIGNING_KEY_FILE: "keys/receipts.pem",
  SIGNING_KEY_ID: "2026-11",
  OIDC_ISSUER: "https://id.example.com/realm",
  OIDC_CLIENT_ID: "approval",
  PRINCIPALS: '[{"issuer":"https://issuer.example","claim":"sub"}]',
  FILTER_SECRET: SECRET,
};
const FILES: Readonly<Record<string, string>> = {
  "a/secret": `${SECRET}\n`,
  "b/secret": `${OTHER_SECRET}\r\n`,
  empty: "\n",
};
const readFile = (file: string): string => {
  const content = FILES[file];
  if (content === undefined) throw new Error("no such file");
  return content;
};
const read = (changes: Environment = {}) => readSettings({ ...LEAST, ...changes }, readFile);
/** The message of what `read` throws. */
function complaint(changes: Environment): string {
  try {
    read(changes);
  } catch (error) {
    if (error instanceof GuardError && error.code === "ERR_USAGE") return error.message;
    throw error;
  }
  return "nothing is wrong";
}

describe("settings", () => {
  it("have values for all that need not be said", () => {
    expect(read()).toEqual({
      host: "127.0.0.1",
      port: 8080,
      filterPort: 8081,
      publicUrl: "https://approve.example.com",
      database: { kind: "file", file: "data/approval.db" },
      signing: { keyFile: "keys/receipts.pem", kid: "2026-11" },
      oidc: {
        issuer: "https://id.example.com/realm",
        clientId: "approval",
        clientSecret: undefined,
        scope: "openid profile email",
      },
      principals: [{ issuer: "https://issuer.example", claim: "sub", oidcIssuer: "https://id.example.com/realm" }],
      approverGroups: [],
      filter: { secrets: [SECRET], mesh: false },
      openPerPrincipal: 5,
      perHour: 60,
      pendingMs: 300_000,
      approvedMs: 300_000,
      logLevel: "info",
    });
  });

  it("take what is said", () => {
    const settings = read({
      HOST: "0.0.0.0",
      PORT: "0",
      FILTER_PORT: "0",
      PUBLIC_URL: "http://localhost:8080/",
      DATABASE_URL: "postgresql://u:p@db:5432/approval?sslmode=require",
      OIDC_CLIENT_SECRET: "s",
      OIDC_SCOPE: "openid groups",
      PRINCIPALS: '[{"issuer":"a","claim":"email","oidc_issuer":"https://other.example"}]',
      APPROVER_GROUPS: '[{"claim":"groups","value":"approvers"}]',
      FILTER_SECRET_PREVIOUS: OTHER_SECRET,
      OPEN_PER_PRINCIPAL: "1",
      PER_HOUR: "100000",
      PENDING_SECONDS: "10",
      APPROVED_SECONDS: "3600",
      LOG_LEVEL: "silent",
    });
    expect(settings).toMatchObject({
      ...{ host: "0.0.0.0", port: 0, filterPort: 0, publicUrl: "http://localhost:8080" },
      database: { kind: "postgres", url: "postgresql://u:p@db:5432/approval?sslmode=require" },
      oidc: { clientSecret: "s", scope: "openid groups" },
      principals: [{ issuer: "a", claim: "email", oidcIssuer: "https://other.example" }],
      approverGroups: [{ claim: "groups", value: "approvers" }],
      filter: { secrets: [SECRET, OTHER_SECRET], mesh: false },
      ...{ openPerPrincipal: 1, perHour: 100_000, pendingMs: 10_000, approvedMs: 3_600_000, logLevel: "silent" },
    });
  });

  it("take secrets from files, without the line break at their end", () => {
    const settings = read({
      FILTER_SECRET: "",
      FILTER_SECRET_FILE: "a/secret",
      FILTER_SECRET_PREVIOUS_FILE: "b/secret",
      OIDC_CLIENT_SECRET_FILE: "a/secret",
    });
    expect(settings.filter.secrets).toEqual([SECRET, OTHER_SECRET]);
    expect(settings.oidc.clientSecret).toBe(SECRET);
  });

  it("let the mesh alone decide only when that is said", () => {
    expect(read({ FILTER_SECRET: "", FILTER_AUTH: "mesh" }).filter).toEqual({ secrets: [], mesh: true });
    expect(read({ FILTER_AUTH: "mesh" }).filter).toEqual({ secrets: [SECRET], mesh: true });
    expect(complaint({ FILTER_SECRET: "" })).toMatch(
      /^one setting is wrong:\n {2}FILTER_SECRET is not set; expected .*FILTER_AUTH=mesh/,
    );
  });

  it("need no principals where a group approves", () => {
    expect(read({ PRINCIPALS: "", APPROVER_GROUPS: '[{"claim":"groups","value":"approvers"}]' }).principals).toEqual(
      [],
    );
    expect(complaint({ PRINCIPALS: "" })).toMatch(/PRINCIPALS is not set; expected .* or APPROVER_GROUPS/);
  });

  it.each<[string, Environment, RegExp]>([
    ["a port that is too large", { PORT: "65536" }, /PORT is "65536"; expected a whole number from 0 to 65535/],
    ["a port with a sign", { PORT: "-1" }, /PORT is "-1"/],
    ["a port in hexadecimal", { FILTER_PORT: "0x50" }, /FILTER_PORT is "0x50"/],
    [
      "one port for both",
      { PORT: "9000", FILTER_PORT: "9000" },
      /FILTER_PORT is 9000, like PORT; expected a port of its own/,
    ],
    [
      "a public URL without encryption",
      { PUBLIC_URL: "http://approve.example.com" },
      /PUBLIC_URL is .*; expected an https URL/,
    ],
    ["a public URL that is none", { PUBLIC_URL: "approve" }, /PUBLIC_URL is "approve"/],
    ["a public URL with a path", { PUBLIC_URL: "https://example.com/approve" }, /PUBLIC_URL is .* without a path/],
    ["a public URL with a user", { PUBLIC_URL: "https://u@example.com" }, /PUBLIC_URL is/],
    ["a missing public URL", { PUBLIC_URL: "" }, /PUBLIC_URL is not set/],
    [
      "a provider without encryption",
      { OIDC_ISSUER: "http://id.example.com" },
      /OIDC_ISSUER is .*; expected an https URL/,
    ],
    ["a missing provider", { OIDC_ISSUER: "" }, /OIDC_ISSUER is not set/],
    ["a missing client id", { OIDC_CLIENT_ID: "" }, /OIDC_CLIENT_ID is not set/],
    [
      "scopes without the one for ID tokens",
      { OIDC_SCOPE: "profile email" },
      /OIDC_SCOPE is "profile email"; expected/,
    ],
    ["scopes with two spaces", { OIDC_SCOPE: "openid  email" }, /OIDC_SCOPE is "openid {2}email"/],
    ["scopes with a quote", { OIDC_SCOPE: 'openid "email"' }, /OIDC_SCOPE is/],
    ["a missing key", { SIGNING_KEY_FILE: "" }, /SIGNING_KEY_FILE is not set/],
    ["a missing key id", { SIGNING_KEY_ID: "" }, /SIGNING_KEY_ID is not set/],
    ["a key id with a space", { SIGNING_KEY_ID: "a b" }, /SIGNING_KEY_ID is "a b"/],
    ["a key id that is too long", { SIGNING_KEY_ID: "k".repeat(65) }, /SIGNING_KEY_ID is/],
    [
      "a database of another kind",
      { DATABASE_URL: "mysql://u:pass-word@db/x" },
      /DATABASE_URL is no URL of a PostgreSQL database/,
    ],
    [
      "two databases",
      { DATABASE_URL: "postgres://db/x", DATABASE_FILE: "x.db" },
      /DATABASE_FILE is set, and so is DATABASE_URL/,
    ],
    ["a short secret", { FILTER_SECRET: "pass-word" }, /FILTER_SECRET has 9 characters/],
    [
      "a secret that no header can carry",
      { FILTER_SECRET: `${SECRET} pass-word` },
      /FILTER_SECRET has 42 characters, or others/,
    ],
    ["a short previous secret", { FILTER_SECRET_PREVIOUS: "pass-word" }, /FILTER_SECRET_PREVIOUS has 9 characters/],
    ["one secret twice", { FILTER_SECRET_PREVIOUS: SECRET }, /FILTER_SECRET_PREVIOUS is the same/],
    [
      "a previous secret alone",
      { FILTER_SECRET: "", FILTER_SECRET_PREVIOUS: SECRET, FILTER_AUTH: "mesh" },
      /FILTER_SECRET_PREVIOUS is set without/,
    ],
    ["an unknown kind of protection", { FILTER_AUTH: "none" }, /FILTER_AUTH is "none"; expected "mesh"/],
    ["a secret twice", { FILTER_SECRET_FILE: "a/secret" }, /FILTER_SECRET_FILE is set, and so is FILTER_SECRET/],
    [
      "a secret in no file",
      { OIDC_CLIENT_SECRET_FILE: "nowhere" },
      /OIDC_CLIENT_SECRET_FILE names nowhere, which cannot be read/,
    ],
    [
      "a secret in an empty file",
      { OIDC_CLIENT_SECRET_FILE: "empty" },
      /OIDC_CLIENT_SECRET_FILE names empty, which is empty/,
    ],
    ["principals that are no JSON", { PRINCIPALS: "sub" }, /PRINCIPALS is no JSON/],
    ["principals that are no list", { PRINCIPALS: "{}" }, /PRINCIPALS is no list/],
    ["no principals in the list", { PRINCIPALS: "[]" }, /PRINCIPALS is an empty list/],
    ["a principal without a claim", { PRINCIPALS: '[{"issuer":"a"}]' }, /PRINCIPALS has a wrong entry, number 1/],
    [
      "a principal with an unknown member",
      { PRINCIPALS: '[{"issuer":"a","claim":"sub","x":"y"}]' },
      /PRINCIPALS has a wrong entry/,
    ],
    ["a principal with a number", { PRINCIPALS: '[{"issuer":"a","claim":1}]' }, /PRINCIPALS has a wrong entry/],
    [
      "a principal with an empty issuer",
      { PRINCIPALS: '[{"issuer":"","claim":"sub"}]' },
      /PRINCIPALS has a wrong entry/,
    ],
    [
      "a group without a value",
      { APPROVER_GROUPS: '[{"claim":"groups","value":"a"},{"claim":"groups"}]' },
      /APPROVER_GROUPS has a wrong entry, number 2/,
    ],
    [
      "no open calls at all",
      { OPEN_PER_PRINCIPAL: "0" },
      /OPEN_PER_PRINCIPAL is "0"; expected a whole number from 1 to 1000/,
    ],
    ["no calls in an hour", { PER_HOUR: "0" }, /PER_HOUR is "0"/],
    ["a call that waits for a day", { PENDING_SECONDS: "86400" }, /PENDING_SECONDS is "86400"/],
    ["an approval that stands for a day", { APPROVED_SECONDS: "86400" }, /APPROVED_SECONDS is "86400"/],
    ["a fraction", { PENDING_SECONDS: "1e2" }, /PENDING_SECONDS is "1e2"/],
    ["an unknown level", { LOG_LEVEL: "loud" }, /LOG_LEVEL is "loud"; expected fatal, error/],
  ])("refuse %s", (_what, changes, expected) => {
    const message = complaint(changes);
    expect(message).toMatch(expected);
    expect(message).not.toContain("pass-word");
  });

  it("of the database can be read without the others", () => {
    expect(readDatabasePlace({ DATABASE_FILE: "a.db" })).toEqual({ kind: "file", file: "a.db" });
    expect(() => readDatabasePlace({ DATABASE_FILE: "a.db", DATABASE_URL: "postgres://db/x" })).toThrow("one of them");
  });

  it("name everything that is wrong at once", () => {
    expect(complaint({ PORT: "x", PUBLIC_URL: "", LOG_LEVEL: "loud" })).toMatch(
      /^3 settings are wrong:\n {2}PORT.*\n {2}PUBLIC_URL.*\n {2}LOG_LEVEL/,
    );
  });
});

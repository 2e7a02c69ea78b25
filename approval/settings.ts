// The service's settings: environment variables in, typed values out. Whatever is wrong is named, all of it at once.
import { readFileSync } from "node:fs";
import { GuardError } from "../src/error.ts";
import { isLoopback } from "../src/loopback.ts";

/** A secret that a person could guess is none: 32 characters are at least 128 bits, even in hexadecimal. */
const SECRET_CHARACTERS_MIN = 32;
const PORT_MAX = 65_535;
const HOUR_SECONDS = 3_600;
const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
/** RFC 6750, section 2.1: what can stand behind `Bearer`. */
const BEARER_TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
/** RFC 6749, section 3.3: printable ASCII without quotes and backslashes. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Which claim of an ID token says who somebody is in calls of an issuer. */
export interface PrincipalRule {
  /** The issuer as calls have it. */
  issuer: string;
  /** The claim whose value equals the call's principal. */
  claim: string;
  /** The provider whose ID tokens are meant: `OIDC_ISSUER` unless it is named. */
  oidcIssuer: string;
}

/** Whoever has this value in this claim may decide about everybody's calls. */
export interface GroupRule {
  claim: string;
  value: string;
}

/** Where the database is. */
export type DatabasePlace = { kind: "file"; file: string } | { kind: "postgres"; url: string };

/** All that an operator decides. */
export interface Settings {
  /** The address to listen on. */
  host: string;
  /** Of the pages. */
  port: number;
  /** Of the guards. */
  filterPort: number;
  /** The origin that browsers use, without a slash at the end. */
  publicUrl: string;
  database: DatabasePlace;
  signing: { keyFile: string; kid: string };
  /** Where people sign in, as which client, and what is asked for. */
  oidc: { issuer: string; clientId: string; clientSecret: string | undefined; scope: string };
  principals: readonly PrincipalRule[];
  approverGroups: readonly GroupRule[];
  /** How guards prove that they are guards: with one of the secrets, and by the mesh when there are none. */
  filter: { secrets: readonly string[]; mesh: boolean };
  openPerPrincipal: number;
  perHour: number;
  pendingMs: number;
  approvedMs: number;
  logLevel: LogLevel;
}

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings.
 * @param readFile reads the files that variables ending in `_FILE` name.
 * @throws GuardError `ERR_USAGE` with one line for each variable that is wrong: its name, what it is, what was expected. Values of secrets
 *   are not shown.
 */
export function readSettings(env: Environment, readFile: (file: string) => string = readTextFile): Settings {
  const reader = new SettingsReader(env, readFile);
  const oidcIssuer = reader.url("OIDC_ISSUER", "the URL of the OpenID Connect provider");
  const settings: Settings = {
    host: reader.text("HOST", "127.0.0.1"),
    port: reader.whole("PORT", 8080, 0, PORT_MAX),
    filterPort: reader.whole("FILTER_PORT", 8081, 0, PORT_MAX),
    publicUrl: reader.origin("PUBLIC_URL"),
    database: reader.database(),
    signing: {
      keyFile: reader.required("SIGNING_KEY_FILE", "a file with an EC P-256 private key (PKCS #8, PEM)"),
      kid: reader.keyId("SIGNING_KEY_ID"),
    },
    oidc: {
      issuer: oidcIssuer,
      clientId: reader.required("OIDC_CLIENT_ID", "the id of this service at the OpenID Connect provider"),
      clientSecret: reader.secret("OIDC_CLIENT_SECRET"),
      scope: reader.scope("OIDC_SCOPE"),
    },
    principals: reader.principals("PRINCIPALS", oidcIssuer),
    approverGroups: reader.groups("APPROVER_GROUPS"),
    filter: reader.filter(),
    openPerPrincipal: reader.whole("OPEN_PER_PRINCIPAL", 5, 1, 1_000),
    perHour: reader.whole("PER_HOUR", 60, 1, 100_000),
    pendingMs: reader.whole("PENDING_SECONDS", 300, 10, HOUR_SECONDS) * 1_000,
    approvedMs: reader.whole("APPROVED_SECONDS", 300, 10, HOUR_SECONDS) * 1_000,
    logLevel: reader.logLevel("LOG_LEVEL"),
  };
  if (settings.port !== 0 && settings.port === settings.filterPort) {
    // Guards and browsers on one port would be one mistake in a route away from each other.
    reader.problem("FILTER_PORT", `is ${settings.filterPort}, like PORT`, "a port of its own");
  }
  reader.finish();
  return settings;
}

/**
 * Reads where the database is, and no other setting.
 * @throws GuardError `ERR_USAGE`, as `readSettings` does.
 */
export function readDatabasePlace(env: Environment): DatabasePlace {
  const reader = new SettingsReader(env, readTextFile);
  const place = reader.database();
  reader.finish();
  return place;
}

/** Collects what is wrong while it reads; a wrong value is replaced by one that lets the reading go on. */
class SettingsReader {
  readonly #env: Environment;
  readonly #readFile: (file: string) => string;
  readonly #problems: string[] = [];

  constructor(env: Environment, readFile: (file: string) => string) {
    this.#env = env;
    this.#readFile = readFile;
  }

  problem(name: string, what: string, expected: string): void {
    this.#problems.push(`${name} ${what}; expected ${expected}`);
  }

  finish(): void {
    if (this.#problems.length === 0) return;
    const count = this.#problems.length === 1 ? "one setting is" : `${this.#problems.length} settings are`;
    throw new GuardError("ERR_USAGE", `${count} wrong:\n${this.#problems.map((line) => `  ${line}`).join("\n")}`);
  }

  /** An empty variable is one that is not set: `VAR=` in a manifest means nothing. */
  #value(name: string): string | undefined {
    const value = this.#env[name];
    return value === "" ? undefined : value;
  }

  text(name: string, otherwise: string): string {
    return this.#value(name) ?? otherwise;
  }

  required(name: string, expected: string): string {
    const value = this.#value(name);
    if (value === undefined) this.problem(name, "is not set", expected);
    return value ?? "";
  }

  whole(name: string, otherwise: number, least: number, most: number): number {
    const value = this.#value(name);
    if (value === undefined) return otherwise;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    this.problem(name, `is ${JSON.stringify(value)}`, `a whole number from ${least} to ${most}`);
    return otherwise;
  }

  logLevel(name: string): LogLevel {
    const value = this.text(name, "info");
    const level = LOG_LEVELS.find((known) => known === value);
    if (level === undefined) this.problem(name, `is ${JSON.stringify(value)}`, LOG_LEVELS.join(", "));
    return level ?? "info";
  }

  /** RFC 7515, section 4.1.4 leaves the form open; the guard's policy does not. */
  keyId(name: string): string {
    const value = this.required(name, "the name under which the guards know the signing key");
    if (value !== "" && !/^[\x21-\x7e]{1,64}$/.test(value)) {
      this.problem(name, `is ${JSON.stringify(value)}`, "1 to 64 printable ASCII characters without spaces");
    }
    return value;
  }

  /** RFC 6749, section 3.3; without `openid` there would be no ID token (OpenID Connect Core 1.0, section 3.1.2.1). */
  scope(name: string): string {
    const value = this.text(name, "openid profile email");
    if (!SCOPE.test(value) || !value.split(" ").includes("openid")) {
      this.problem(name, `is ${JSON.stringify(value)}`, "scopes with one space between them, openid among them");
    }
    return value;
  }

  url(name: string, what: string): string {
    const value = this.required(name, what);
    if (value === "") return value;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !isProtected(url) || url.username !== "" || url.password !== "" || url.hash !== "") {
      this.problem(name, `is ${JSON.stringify(value)}`, "an https URL, or http on this machine");
    }
    return value;
  }

  origin(name: string): string {
    const value = this.url(name, "the address that browsers use, like https://approve.example.com");
    if (!URL.canParse(value)) return value;
    const { origin, pathname, search } = new URL(value);
    // The pages set cookies for the whole origin (the prefix `__Host-` of RFC 6265bis, section 4.1.3.2), so it has to be theirs alone.
    if (pathname !== "/" || search !== "") this.problem(name, `is ${JSON.stringify(value)}`, "a URL without a path");
    return origin;
  }

  /** The value itself, or what stands in the file that `<name>_FILE` names. */
  secret(name: string): string | undefined {
    const value = this.#value(name);
    const file = this.#value(`${name}_FILE`);
    if (file === undefined) return value;
    if (value !== undefined) {
      this.problem(`${name}_FILE`, `is set, and so is ${name}`, "one of them");
      return value;
    }
    try {
      // Editors and `echo` end a file with a line break, which is no part of a secret.
      const content = this.#readFile(file).replace(/\r?\n$/, "");
      if (content === "") this.problem(`${name}_FILE`, `names ${file}, which is empty`, "a file with the value");
      return content;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.problem(`${name}_FILE`, `names ${file}, which cannot be read (${why})`, "a file with the value");
      return undefined;
    }
  }

  database(): DatabasePlace {
    const url = this.secret("DATABASE_URL");
    const file = this.#value("DATABASE_FILE");
    if (url === undefined) return { kind: "file", file: file ?? "data/approval.db" };
    if (file !== undefined) this.problem("DATABASE_FILE", "is set, and so is DATABASE_URL", "one of them");
    // The value may have a password in it and is not shown.
    const protocol = URL.canParse(url) ? new URL(url).protocol : "";
    if (protocol !== "postgres:" && protocol !== "postgresql:") {
      this.problem("DATABASE_URL", "is no URL of a PostgreSQL database", "postgres://user:password@host:port/database");
    }
    return { kind: "postgres", url };
  }

  filter(): Settings["filter"] {
    const secret = this.#filterSecret("FILTER_SECRET");
    const previous = this.#filterSecret("FILTER_SECRET_PREVIOUS");
    const auth = this.#value("FILTER_AUTH");
    if (auth !== undefined && auth !== "mesh") {
      this.problem("FILTER_AUTH", `is ${JSON.stringify(auth)}`, '"mesh", or nothing with FILTER_SECRET');
    }
    const mesh = auth === "mesh";
    if (secret === undefined && previous !== undefined) {
      this.problem("FILTER_SECRET_PREVIOUS", "is set without FILTER_SECRET", "both of them while secrets are changed");
    }
    if (secret === undefined && !mesh) {
      const expected =
        "the secret of the guards, or FILTER_AUTH=mesh where the mesh lets nobody else reach FILTER_PORT";
      this.problem("FILTER_SECRET", "is not set", expected);
    }
    if (secret !== undefined && secret === previous) {
      this.problem("FILTER_SECRET_PREVIOUS", "is the same as FILTER_SECRET", "another one, or nothing");
    }
    return { secrets: [secret, previous].filter((one) => one !== undefined), mesh };
  }

  #filterSecret(name: string): string | undefined {
    const secret = this.secret(name);
    if (secret !== undefined && (secret.length < SECRET_CHARACTERS_MIN || !BEARER_TOKEN.test(secret))) {
      const expected = `at least ${SECRET_CHARACTERS_MIN} characters of A-Z a-z 0-9 - . _ ~ + /`;
      this.problem(name, `has ${secret.length} characters, or others than a bearer token has`, expected);
    }
    return secret;
  }

  principals(name: string, oidcIssuer: string): PrincipalRule[] {
    const expected = '[{"issuer": "<issuer of calls>", "claim": "sub"}], with "oidc_issuer" if it is not OIDC_ISSUER';
    if (this.#value(name) === undefined) {
      // With neither of them nobody could approve anything: better found now than by the first person who waits.
      if (this.#value("APPROVER_GROUPS") === undefined)
        this.problem(name, "is not set", `${expected}, or APPROVER_GROUPS`);
      return [];
    }
    const rules = this.#records(name, ["issuer", "claim"], ["oidc_issuer"], expected);
    return rules.map((rule) => ({
      issuer: rule.issuer ?? "",
      claim: rule.claim ?? "",
      oidcIssuer: rule.oidc_issuer ?? oidcIssuer,
    }));
  }

  groups(name: string): GroupRule[] {
    if (this.#value(name) === undefined) return [];
    const rules = this.#records(name, ["claim", "value"], [], '[{"claim": "groups", "value": "<name of the group>"}]');
    return rules.map((rule) => ({ claim: rule.claim ?? "", value: rule.value ?? "" }));
  }

  /** A JSON list of objects with these members, all of them strings that are not empty. */
  #records(
    name: string,
    required: readonly string[],
    optional: readonly string[],
    expected: string,
  ): Record<string, string>[] {
    const known = new Set([...required, ...optional]);
    const isRecord = (item: unknown): item is Record<string, string> =>
      typeof item === "object" &&
      item !== null &&
      !Array.isArray(item) &&
      required.every((member) => member in item) &&
      Object.entries(item).every(([key, value]) => known.has(key) && typeof value === "string" && value !== "");
    let list: unknown;
    try {
      list = JSON.parse(this.text(name, ""));
    } catch {
      this.problem(name, "is no JSON", expected);
      return [];
    }
    if (!Array.isArray(list)) {
      this.problem(name, "is no list", expected);
      return [];
    }
    const wrong = list.findIndex((item) => !isRecord(item));
    if (wrong >= 0) this.problem(name, `has a wrong entry, number ${wrong + 1}`, expected);
    else if (list.length === 0) this.problem(name, "is an empty list", expected);
    return list.filter(isRecord);
  }
}

function readTextFile(file: string): string {
  return readFileSync(file, "utf8");
}

/** Whether what is sent there can be read by nobody on the way. */
function isProtected(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

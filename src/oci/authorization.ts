// How a registry is shown who asks: Basic (RFC 7617), or a Bearer token of its token server (distribution specification,
// "Token authentication"; RFC 6750 for the challenge).
import { GuardError } from "../error.ts";
import { isLoopback } from "../loopback.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { type Credentials, dockerConfigFile, findCredentials } from "./credentials.ts";
import type { HttpAnswer, HttpClient, HttpRequest } from "./http.ts";
import type { Repository } from "./reference.ts";
import { isTransient, type RetryOptions, retryAfterMs, TransientAnswer, withRetries } from "./retry.ts";

/** What a client wants to do with a repository. */
export type Access = "pull" | "pull,push";

/** Names this program at token servers that issue by client. */
const CLIENT_ID = "mcp-guard";

/** The Authorization header for one repository, renewed when the registry asks for it. */
export class Authorization {
  readonly #repository: Repository;
  readonly #access: Access;
  readonly #env: NodeJS.ProcessEnv;
  readonly #http: HttpClient;
  readonly #retry: RetryOptions;
  /** Whether plain HTTP is allowed to other machines too. */
  readonly #plainHttp: boolean;
  #credentials: Promise<Credentials | undefined> | undefined;
  #header: string | undefined;

  constructor(
    repository: Repository,
    access: Access,
    options: { env: NodeJS.ProcessEnv; http: HttpClient; retry: RetryOptions; plainHttp: boolean },
  ) {
    this.#repository = repository;
    this.#access = access;
    this.#env = options.env;
    this.#http = options.http;
    this.#retry = options.retry;
    this.#plainHttp = options.plainHttp;
  }

  /** The header's value, `undefined` as long as the registry has asked for none. */
  get header(): string | undefined {
    return this.#header;
  }

  /**
   * Takes the challenges of a 401 and finds the header that meets one: Bearer before Basic, as a registry that offers both
   * prefers it.
   * @throws GuardError `ERR_CREDENTIALS`.
   */
  async answer(unauthorized: HttpAnswer): Promise<void> {
    const value = unauthorized.header("www-authenticate");
    const challenges = parseChallenges(value === undefined ? [] : [value]);
    const offered = (scheme: string) => challenges.find((challenge) => challenge.scheme === scheme);
    const bearer = offered("bearer");
    if (bearer !== undefined) {
      this.#header = `Bearer ${await this.#token(bearer)}`;
    } else if (offered("basic") !== undefined) {
      this.#header = basic(await this.#required("Basic"));
    } else {
      const schemes = challenges.map(({ scheme }) => scheme).join(", ") || "none";
      throw this.#problem(`the registry asks for an authentication that is not known here (${schemes})`);
    }
  }

  /** What to say when the registry refuses the header that `answer` found. */
  async refused(): Promise<GuardError> {
    const credentials = await this.#find();
    if (credentials === undefined) return this.#none();
    const who = credentials.kind === "password" ? `user "${credentials.username}"` : "the token";
    return this.#problem(`the registry refused ${who} (from ${credentials.origin})`);
  }

  /** What to say when the registry knows who asks, and does not let them. */
  async forbidden(): Promise<GuardError> {
    const credentials = await this.#find();
    const who = credentials?.kind === "password" ? `user "${credentials.username}"` : "whoever asks";
    const what = this.#access === "pull" ? "read" : "write to";
    return this.#problem(`${who} may not ${what} ${this.#repository.name}`);
  }

  async #token(challenge: Challenge): Promise<string> {
    const credentials = await this.#find();
    if (credentials?.kind === "bearer") return credentials.token;
    const realm = this.#realm(challenge.parameters.realm);
    const query = new URLSearchParams(realm.search);
    if (challenge.parameters.service !== undefined) query.set("service", challenge.parameters.service);
    query.set("scope", `repository:${this.#repository.name}:${this.#access}`);
    const httpRequest = tokenRequest(realm, query, credentials);
    const answer = await withRetries(this.#retry, async () => {
      const response = await this.#http.send(httpRequest);
      if (!isTransient(response)) return response;
      throw new TransientAnswer(`${realm.host}: the token server answered ${response.status}`, retryAfterMs(response));
    });
    if (answer.status === 401 || answer.status === 403 || (credentials?.kind === "identity" && answer.status === 400)) {
      throw await this.refused();
    }
    if (answer.status !== 200) throw this.#problem(`the token server ${realm.host} answered ${answer.status}`);
    return this.#tokenIn(answer, realm);
  }

  #tokenIn(answer: HttpAnswer, realm: URL): string {
    try {
      const { token, access_token } = JSON.parse(answer.body.toString()) as { token?: unknown; access_token?: unknown };
      for (const candidate of [token, access_token]) {
        // A line break in a token would become a header of the token server's making.
        if (typeof candidate === "string" && /^[\x21-\x7e]+$/.test(candidate)) return candidate;
      }
    } catch {
      // told below
    }
    throw this.#problem(`the token server ${realm.host} answered without a token`);
  }

  /** The address of the token server. A password must not leave in the open because a registry says so. */
  #realm(realm: string | undefined): URL {
    if (realm === undefined || !URL.canParse(realm)) {
      throw this.#problem(`the registry names "${realm ?? ""}" as its token server, which is no URL`);
    }
    const url = new URL(realm);
    const open = url.protocol === "http:" && (this.#plainHttp || isLoopback(url.hostname));
    if (url.protocol === "https:" || open) return url;
    throw this.#problem(`the registry's token server ${realm} is not asked: it is not HTTPS (PLAIN_HTTP=1 allows it)`);
  }

  async #required(scheme: string): Promise<Credentials & { kind: "password" }> {
    const credentials = await this.#find();
    if (credentials === undefined) throw this.#none();
    if (credentials.kind === "password") return credentials;
    throw this.#problem(`the registry wants ${scheme} authentication, and ${credentials.origin} has a token only`);
  }

  #find(): Promise<Credentials | undefined> {
    this.#credentials ??= findCredentials(this.#repository.registry, this.#env);
    return this.#credentials;
  }

  #none(): GuardError {
    const { registry } = this.#repository;
    const places = `OCI_USERNAME and OCI_PASSWORD are not set, and ${dockerConfigFile(this.#env)} has none for it`;
    return this.#problem(`the registry wants credentials: ${places} (docker login ${registry} writes them)`);
  }

  #problem(what: string): GuardError {
    return new GuardError("ERR_CREDENTIALS", `${this.#repository.registry}: ${what}`);
  }
}

function tokenRequest(realm: URL, query: URLSearchParams, credentials: Credentials | undefined): HttpRequest {
  if (credentials?.kind === "identity") {
    const form = new URLSearchParams(query);
    form.set("grant_type", "refresh_token");
    form.set("refresh_token", credentials.token);
    form.set("client_id", CLIENT_ID);
    const body = Buffer.from(form.toString());
    return { method: "POST", url: realm, headers: { "content-type": "application/x-www-form-urlencoded" }, body };
  }
  const url = new URL(realm);
  if (credentials?.kind === "password") query.set("account", credentials.username);
  url.search = query.toString();
  return { method: "GET", url, headers: credentials?.kind === "password" ? { authorization: basic(credentials) } : {} };
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

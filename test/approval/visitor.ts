// A service with its pages and a real provider, and people with browsers: they keep cookies, follow redirects, send forms as browsers do.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { createMetrics, type Metrics } from "../../approval/metrics.ts";
import { buildBrowserServer } from "../../approval/server.ts";
import type { Settings } from "../../approval/settings.ts";
import { openStore } from "../../approval/store/open-store.ts";
import type { Call, Store } from "../../approval/store/store.ts";
import { startProvider, type TryProvider } from "../../src/approval/try/provider.ts";
import { sampleCall } from "./sample-call.ts";

export const PUBLIC_URL = "https://approve.example.com";
/** The issuer of the sample calls. */
export const CALL_ISSUER = "https://issuer.example";
const CLIENT = { id: "approval", secret: "of these tests", redirectUri: `${PUBLIC_URL}/callback` };

/** A service's side for browsers, with a database and a provider of its own. */
export interface PageRig {
  readonly app: FastifyInstance;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly provider: TryProvider;
  readonly settings: Settings;
  /** Moves the service's clock on. */
  wait(ms: number): void;
  /** Sets it right again: the provider's clock has not moved. */
  setClock(): void;
  now(): number;
  /** What a metric of the service counts by now, of the label if one is named. */
  counted(name: "decisions" | "databaseErrors", label?: string): Promise<number>;
  /** Opens an approval, as a guard would have it opened, and gives its id. */
  open(changes?: Partial<Omit<Call, "digest">>): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one. */
export async function startPages(changes: Partial<Settings> = {}): Promise<PageRig> {
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-pages-"));
  const provider = await startProvider({ port: 0, audience: "http://127.0.0.1/mcp", service: CLIENT });
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const settings: Settings = {
    host: "127.0.0.1",
    port: 0,
    filterPort: 0,
    publicUrl: PUBLIC_URL,
    database: { kind: "file", file: path.join(folder, "approval.db") },
    signing: { keyFile: "", kid: "1" },
    oidc: { issuer: provider.issuer, clientId: CLIENT.id, clientSecret: CLIENT.secret, scope: "openid profile email" },
    principals: [{ issuer: CALL_ISSUER, claim: "sub", oidcIssuer: provider.issuer }],
    approverGroups: [{ claim: "groups", value: "mcp-approvers" }],
    filter: { secrets: [], mesh: true },
    openPerPrincipal: 1_000,
    perHour: 1_000,
    pendingMs: 300_000,
    approvedMs: 300_000,
    logLevel: "silent",
    ...changes,
  };
  const { pendingMs, approvedMs, openPerPrincipal, perHour } = settings;
  const store = await openStore(settings.database, { clock, pendingMs, approvedMs, openPerPrincipal, perHour });
  const metrics = createMetrics(store);
  const app = await buildBrowserServer({ settings, store, clock, metrics });
  await app.ready();
  let calls = 0;
  return {
    app,
    store,
    metrics,
    provider,
    settings,
    now: clock,
    async counted(name, label) {
      const { values } = await metrics[name].get();
      const wanted = values.filter(({ labels }) => label === undefined || Object.values(labels).includes(label));
      return wanted.reduce((sum, { value }) => sum + value, 0);
    },
    wait(ms) {
      ahead += ms;
    },
    setClock() {
      ahead = 0;
    },
    async open(call = {}) {
      const outcome = await store.open(sampleCall({ issuer: CALL_ISSUER, arguments: `{"n":${++calls}}`, ...call }));
      if (outcome.kind !== "approval") throw new Error("the store has a limit that the test did not expect");
      return outcome.id;
    },
    async stop() {
      await app.close();
      await store.close();
      await provider.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What a browser sends with a request that one of our own pages makes. */
const OWN_PAGE = { origin: PUBLIC_URL, "sec-fetch-site": "same-origin" } as const;
const DOCUMENT = { accept: "text/html,application/xhtml+xml" } as const;

/** One browser. */
export class Visitor {
  readonly cookies = new Map<string, string>();
  readonly #provider = new Map<string, string>();
  readonly #rig: PageRig;

  constructor(rig: PageRig) {
    this.#rig = rig;
  }

  /** Asks for a page, without following redirects. */
  async get(url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    return this.#send({ method: "GET", url, headers: { ...DOCUMENT, ...headers } });
  }

  /** Sends a form of one of our pages, with the token of this browser's session unless another one is given. */
  async form(
    url: string,
    fields: Record<string, string> = {},
    headers: Record<string, string> = {},
  ): Promise<LightMyRequestResponse> {
    const payload = new URLSearchParams({ csrf: await this.token(), ...fields }).toString();
    const type = { "content-type": "application/x-www-form-urlencoded" };
    return this.#send({ method: "POST", url, payload, headers: { ...DOCUMENT, ...OWN_PAGE, ...type, ...headers } });
  }

  /** Sends JSON as the page's script does. */
  async json(url: string, body: unknown, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    const own = { accept: "application/json", "content-type": "application/json", "x-csrf-token": await this.token() };
    const payload = JSON.stringify(body);
    return this.#send({ method: "POST", url, payload, headers: { ...own, ...OWN_PAGE, ...headers } });
  }

  /** The token that stands in the pages of this browser's session; empty when there is no session. */
  async token(): Promise<string> {
    const { body } = await this.get("/passkeys");
    return /data-token="([\w-]+)"/.exec(body)?.[1] ?? "";
  }

  /**
   * Signs in, from our page to the provider and back.
   * @returns the answer to what the provider sent the browser back with.
   */
  async signIn(login: string, { path: start = "/sign-in?return=%2F", callback = (url: URL) => url } = {}) {
    const begin = await this.get(start);
    const address = new URL(begin.headers.location ?? "", PUBLIC_URL);
    if (address.origin === PUBLIC_URL) return begin;
    const back = callback(await this.atProvider(address, login));
    return this.get(back.pathname + back.search, { "sec-fetch-site": "cross-site" });
  }

  /** Goes through the pages of the provider, until it sends the browser back to us. */
  async atProvider(start: URL, login: string): Promise<URL> {
    let url = start;
    let body: URLSearchParams | undefined;
    for (let hops = 0; hops < 10; hops++) {
      const cookie = [...this.#provider].map(([name, value]) => `${name}=${value}`).join("; ");
      const init = { redirect: "manual", headers: { cookie }, ...(body && { method: "POST", body }) } as const;
      const response = await fetch(url, init);
      keep(response.headers.getSetCookie(), this.#provider);
      const location = response.headers.get("location");
      body = location === null ? new URLSearchParams({ login }) : undefined;
      url = new URL(location ?? url, url);
      if (url.origin === PUBLIC_URL) return url;
    }
    throw new Error(`the provider does not let ${login} in`);
  }

  async #send(request: {
    method: "GET" | "POST";
    url: string;
    headers: Record<string, string>;
    payload?: string;
  }): Promise<LightMyRequestResponse> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = cookie === "" ? request.headers : { cookie, ...request.headers };
    const response = await this.#rig.app.inject({ ...request, headers });
    keep([response.headers["set-cookie"] ?? []].flat(), this.cookies);
    return response;
  }
}

/** A browser of somebody who is signed in. */
export async function signedIn(rig: PageRig, login: string): Promise<Visitor> {
  const visitor = new Visitor(rig);
  const { statusCode } = await visitor.signIn(login);
  if (statusCode !== 303) throw new Error(`the sign-in of ${login} has ended with ${statusCode}`);
  return visitor;
}

function keep(lines: readonly string[], cookies: Map<string, string>): void {
  for (const line of lines) {
    const [pair = "", ...attributes] = line.split(";");
    const [name = "", value = ""] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
    const expires = attributes.find((attribute) => /^ *expires=/i.test(attribute))?.split("=")[1];
    const isOver = attributes.some((one) => /^ *max-age=0$/i.test(one)) || Date.parse(expires ?? "") <= Date.now();
    if (isOver || value === "") cookies.delete(name);
    else cookies.set(name, value);
  }
}

// Somebody who approves calls: signs in at the service's provider for trying, has a passkey, clicks. Over HTTP, as the pages' script does it; what
// a browser takes to show a page is not in it.
import { Authenticator } from "../../test/approval/authenticator.ts";

const HOPS_MAX = 10;
const APPROVAL_LINK = /href="\/a\/([\w-]{22})"/g;

/** Somebody who is signed in and has a passkey. */
export class Person {
  readonly #publicUrl: string;
  readonly #cookies = new Map<string, string>();
  readonly #device: Authenticator;
  #token = "";

  private constructor(publicUrl: string) {
    this.#publicUrl = publicUrl;
    this.#device = new Authenticator(publicUrl);
  }

  /** Signs in as one of the provider's people and registers a passkey. @throws Error when the service does not let them. */
  static async signIn(publicUrl: string, login: string): Promise<Person> {
    const person = new Person(publicUrl);
    await person.#follow("/sign-in?return=%2F", login);
    const { text } = await person.#send("GET", "/passkeys");
    person.#token = /data-token="([\w-]+)"/.exec(text)?.[1] ?? "";
    const options = JSON.parse((await person.#send("POST", "/passkeys/options", {})).text);
    await person.#send("POST", "/passkeys/verify", { name: "Bench", registration: person.#device.register(options) });
    return person;
  }

  /** The ids of the calls that are on the person's list. */
  async calls(): Promise<string[]> {
    const { text } = await this.#send("GET", "/");
    return [...text.matchAll(APPROVAL_LINK)].map(([, id]) => id!);
  }

  /** Has a call's challenge signed by the passkey; gives what then sends it. */
  async prepare(id: string): Promise<() => Promise<void>> {
    const challenge = JSON.parse((await this.#send("POST", `/a/${id}/challenge`, {})).text);
    const assertion = this.#device.assert(challenge);
    return async () => {
      await this.#send("POST", `/a/${id}/approve`, assertion);
    };
  }

  /** From our page to the provider and back. */
  async #follow(start: string, login: string): Promise<void> {
    const jars = new Map([[this.#publicUrl, this.#cookies]]);
    let url = new URL(start, this.#publicUrl);
    let body: URLSearchParams | undefined;
    for (let hops = 0; hops < HOPS_MAX; hops++) {
      const jar = jars.get(url.origin) ?? new Map<string, string>();
      jars.set(url.origin, jar);
      const response = await fetch(url, {
        redirect: "manual",
        headers: { cookie: cookieOf(jar), accept: "text/html" },
        ...(body !== undefined && { method: "POST", body }),
      });
      keep(response, jar);
      const location = response.headers.get("location");
      // Without a redirect it is the page that asks who signs in, or our own one at the end.
      if (location === null && url.origin === this.#publicUrl) return;
      body = location === null ? new URLSearchParams({ login }) : undefined;
      url = new URL(location ?? url, url);
    }
    throw new Error(`the sign-in of ${login} does not end`);
  }

  async #send(method: "GET" | "POST", path: string, body?: unknown): Promise<{ text: string }> {
    const response = await fetch(`${this.#publicUrl}${path}`, {
      method,
      redirect: "manual",
      headers: {
        cookie: cookieOf(this.#cookies),
        accept: method === "GET" ? "text/html" : "application/json",
        ...(method === "POST" && {
          ...{ "content-type": "application/json", "x-csrf-token": this.#token },
          ...{ origin: this.#publicUrl, "sec-fetch-site": "same-origin" },
        }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    keep(response, this.#cookies);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return { text };
  }
}

function cookieOf(jar: ReadonlyMap<string, string>): string {
  return [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
}

function keep(response: Response, jar: Map<string, string>): void {
  for (const line of response.headers.getSetCookie()) {
    const [pair = ""] = line.split(";");
    const at = pair.indexOf("=");
    if (at === pair.length - 1) jar.delete(pair.slice(0, at));
    else jar.set(pair.slice(0, at), pair.slice(at + 1));
  }
}

// One repository of a registry, through the OCI distribution specification (version 1.1): manifests, tags and blobs.
import { GuardError } from "../error.ts";
import { isLoopback } from "../loopback.ts";
import { oneLine } from "../terminal.ts";
import { type Access, Authorization } from "./authorization.ts";
import { type Digest, digestOf, isDigest } from "./digest.ts";
import { type HttpAnswer, HttpClient, type HttpRequest } from "./http.ts";
import type { Blob } from "./image.ts";
import { MODULE_BYTES_MAX } from "./layer.ts";
import { apiHost, hostName, type Repository } from "./reference.ts";
import { isTransient, type RetryOptions, retryAfterMs, TransientAnswer, withRetries } from "./retry.ts";
import { type Descriptor, MEDIA_TYPE } from "./shape.ts";

/** What registries must take ("Push", section "Pushing manifests"). */
const MANIFEST_BYTES_MAX = 4 << 20;
/** A layer is a little larger than the module in it. */
const BLOB_BYTES_MAX = MODULE_BYTES_MAX + (1 << 20);
const ACCEPTED_MANIFESTS = [
  MEDIA_TYPE.ociManifest,
  MEDIA_TYPE.dockerManifest,
  MEDIA_TYPE.ociIndex,
  MEDIA_TYPE.dockerIndex,
].join(", ");
/** ENOSPC, as registries show it: in words, or as the number inside Go's error (`"Err":28`). */
const DISK_FULL = /no space left on device|"Err":28\b/;
/** How much of an error text of a registry is shown. */
const SHOWN_LENGTH_MAX = 300;

export interface RegistryOptions extends RetryOptions {
  readonly access: Access;
  readonly env: NodeJS.ProcessEnv;
  /** Plain HTTP: unset means for this machine only. */
  readonly plainHttp?: boolean | undefined;
}

/** A manifest as a registry keeps it. */
export interface StoredManifest {
  readonly text: string;
  readonly mediaType: string;
  readonly digest: Digest;
}

/** Every method throws `GuardError`: `ERR_REGISTRY` or `ERR_CREDENTIALS`, with the registry's own words where it has any. */
export class Registry {
  readonly repository: Repository;
  readonly #base: URL;
  readonly #http: HttpClient;
  readonly #retry: RetryOptions;
  readonly #authorization: Authorization;

  constructor(repository: Repository, options: RegistryOptions) {
    const { access, env, plainHttp } = options;
    this.repository = repository;
    const scheme = (plainHttp ?? isLoopback(hostName(repository))) ? "http" : "https";
    this.#base = new URL(`${scheme}://${apiHost(repository)}/v2/`);
    this.#http = new HttpClient(options.signal);
    this.#retry = options;
    this.#authorization = new Authorization(repository, access, {
      env,
      http: this.#http,
      retry: options,
      plainHttp: plainHttp === true,
    });
  }

  /** Makes sure that a registry answers there. */
  async ping(): Promise<void> {
    const answer = await this.#ask({ method: "GET", url: this.#base });
    if (answer.status === 200) return;
    const { message } = this.#unexpected("GET /v2/", answer);
    throw new GuardError(
      "ERR_REGISTRY",
      `${message} (expected a registry of the OCI distribution specification there)`,
    );
  }

  /** The digest that a tag stands for, `undefined` when there is no such tag. */
  async resolve(tag: string): Promise<Digest | undefined> {
    const answer = await this.#ask({
      method: "HEAD",
      url: this.#manifestUrl(tag),
      headers: { accept: ACCEPTED_MANIFESTS },
    });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw this.#unexpected("resolving the tag", answer);
    const digest = answer.header("docker-content-digest") ?? "";
    // The header is optional; without it the content says what it is.
    return isDigest(digest) ? digest : (await this.manifest(tag)).digest;
  }

  /** A manifest by tag or digest. Its bytes are checked against the digest, where one is asked for. */
  async manifest(reference: string): Promise<StoredManifest> {
    const answer = await this.#ask({
      method: "GET",
      url: this.#manifestUrl(reference),
      headers: { accept: ACCEPTED_MANIFESTS },
      answerBytesMax: MANIFEST_BYTES_MAX,
    });
    if (answer.status === 404) throw this.#problem(`there is no ${reference} in ${this.repository.name}`);
    if (answer.status !== 200) throw this.#unexpected(`reading the manifest ${reference}`, answer);
    const digest = digestOf(answer.body);
    if (isDigest(reference) && digest !== reference) throw this.#corrupt(reference, digest);
    const mediaType = (answer.header("content-type") ?? "").split(";")[0]?.trim() ?? "";
    return { text: answer.body.toString(), mediaType, digest };
  }

  /** Writes a manifest under a tag, or under its own digest. */
  async putManifest(reference: string, { bytes, mediaType }: Blob): Promise<void> {
    const answer = await this.#ask({
      method: "PUT",
      url: this.#manifestUrl(reference),
      headers: { "content-type": mediaType },
      body: bytes,
    });
    if (answer.status !== 201 && answer.status !== 202 && answer.status !== 200) {
      throw this.#unexpected(`writing the manifest ${reference}`, answer);
    }
  }

  async hasBlob({ digest }: Descriptor): Promise<boolean> {
    const answer = await this.#ask({ method: "HEAD", url: this.#url(`blobs/${digest}`) });
    if (answer.status === 200) return true;
    if (answer.status === 404) return false;
    throw this.#unexpected(`looking for the blob ${digest}`, answer);
  }

  /** A blob's bytes, checked against the digest. */
  async blob({ digest, size }: Descriptor): Promise<Buffer> {
    if (size > BLOB_BYTES_MAX) throw this.#problem(`the blob ${digest} has ${size} bytes, which no loader takes`);
    const answer = await this.#ask({ method: "GET", url: this.#url(`blobs/${digest}`), answerBytesMax: size });
    if (answer.status !== 200) throw this.#unexpected(`reading the blob ${digest}`, answer);
    const found = digestOf(answer.body);
    if (found !== digest) throw this.#corrupt(digest, found);
    return answer.body;
  }

  /**
   * Uploads a blob in one piece ("Push", section "POST then PUT"). After a connection that broke, the registry is asked how
   * much it has, and only the rest is sent; where it cannot tell, or has lost it, the upload begins anew.
   * @param onSent hears how many bytes of the blob have been sent.
   */
  async upload(blob: Blob, onSent: (bytes: number) => void = () => {}): Promise<void> {
    let session: URL | undefined;
    await withRetries(this.#retry, async () => {
      let offset = 0;
      if (session !== undefined) {
        const progress = await this.#progress(session);
        session = progress?.session;
        offset = progress?.offset ?? 0;
      }
      session ??= await this.#beginUpload();
      const rest = blob.bytes.subarray(offset);
      const resumed = offset > 0 ? { "content-range": `${offset}-${blob.size - 1}` } : {};
      const answer = await this.#attempt({
        method: "PUT",
        url: withDigest(session, blob.digest),
        headers: { "content-type": "application/octet-stream", ...resumed },
        body: rest,
        onSent: (bytes) => onSent(offset + bytes),
      });
      if (answer.status === 201 || answer.status === 204) return;
      const message = this.#unexpected(`uploading the blob ${blob.digest}`, answer).message;
      // Lost (404), somewhere else than it said (416), or mixed up (400 DIGEST_INVALID): a new upload can still succeed.
      if (offset > 0) {
        session = undefined;
        throw new TransientAnswer(message, 0);
      }
      throw new GuardError("ERR_REGISTRY", message);
    });
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  async #beginUpload(): Promise<URL> {
    const url = this.#url("blobs/uploads/");
    const answer = await this.#attempt({ method: "POST", url, body: Buffer.alloc(0) });
    if (answer.status !== 202) throw this.#unexpected("beginning an upload", answer);
    return this.#location(answer, url);
  }

  /** How much of an upload the registry has; `undefined` when it does not say. */
  async #progress(session: URL): Promise<{ session: URL; offset: number } | undefined> {
    const answer = await this.#attempt({ method: "GET", url: session });
    if (answer.status !== 204 && answer.status !== 202) return undefined;
    const last = /^(?:bytes=)?0-(\d+)$/.exec(answer.header("range") ?? "")?.[1];
    // `0-0` is what registries say of one byte and of none: then the upload begins anew.
    if (last === undefined || last === "0") return undefined;
    const moved = answer.header("location") === undefined ? session : this.#location(answer, session);
    return { session: moved, offset: Number(last) + 1 };
  }

  #location(answer: HttpAnswer, from: URL): URL {
    const location = answer.header("location");
    if (location === undefined || !URL.canParse(location, from.href)) {
      throw this.#problem("the registry did not say where to upload to (no usable Location)");
    }
    const url = new URL(location, from);
    if (url.protocol === "http:" && from.protocol === "https:") {
      throw this.#problem(`the registry sends the upload to ${url.origin}, which is not HTTPS`);
    }
    return url;
  }

  /** One request, tried again as long as that may help. Only for requests that may arrive twice. */
  async #ask(httpRequest: HttpRequest): Promise<HttpAnswer> {
    return withRetries(this.#retry, () => this.#attempt(httpRequest));
  }

  /** One request, with the credentials that the registry asks for. */
  async #attempt(httpRequest: HttpRequest): Promise<HttpAnswer> {
    let answer = await this.#http.send(this.#authorized(httpRequest));
    if (answer.status === 401) {
      await this.#authorization.answer(answer);
      answer = await this.#http.send(this.#authorized(httpRequest));
      if (answer.status === 401) throw await this.#authorization.refused();
    }
    if (answer.status === 403) {
      const { message } = await this.#authorization.forbidden();
      throw new GuardError("ERR_CREDENTIALS", `${message}${registryWords(answer.body)}`);
    }
    if (isTransient(answer)) {
      throw new TransientAnswer(this.#unexpected("the request", answer).message, retryAfterMs(answer));
    }
    return answer;
  }

  /** Credentials are for the registry's own origin, whatever address an upload or a blob has. */
  #authorized(httpRequest: HttpRequest): HttpRequest {
    const { header } = this.#authorization;
    if (header === undefined || httpRequest.url.origin !== this.#base.origin) return httpRequest;
    return { ...httpRequest, headers: { ...httpRequest.headers, authorization: header } };
  }

  #url(path: string): URL {
    return new URL(`${this.repository.name}/${path}`, this.#base);
  }

  #manifestUrl(reference: string): URL {
    return this.#url(`manifests/${reference}`);
  }

  #corrupt(wanted: string, found: string): GuardError {
    return this.#problem(`what it keeps as ${wanted} has the digest ${found}`);
  }

  #unexpected(what: string, answer: HttpAnswer): GuardError {
    return this.#problem(`${what} was answered with ${answer.status}${registryWords(answer.body)}`);
  }

  #problem(what: string): GuardError {
    return new GuardError("ERR_REGISTRY", `${this.repository.registry}: ${what}`);
  }
}

/** What a registry says about an error ("Error codes" of the specification), made safe for a terminal. */
function registryWords(body: Buffer): string {
  let words = body.toString();
  try {
    const { errors } = JSON.parse(words) as { errors: { code?: unknown; message?: unknown; detail?: unknown }[] };
    words = errors
      .map(({ code, message, detail }) =>
        [code, message, typeof detail === "string" ? detail : JSON.stringify(detail)].filter(Boolean).join(" "),
      )
      .join("; ");
  } catch {
    // not in the form of the specification: shown as it is
  }
  const line = oneLine(words);
  if (line === "") return "";
  const reading = DISK_FULL.test(line) ? " (the registry's disk is full)" : "";
  return `: ${line.length > SHOWN_LENGTH_MAX ? `${line.slice(0, SHOWN_LENGTH_MAX)}...` : line}${reading}`;
}

/** An upload's address may have a query of its own, which must come back as it is: no parsing and writing anew. */
function withDigest(session: URL, digest: Digest): URL {
  const { href } = session;
  return new URL(`${href}${href.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`);
}

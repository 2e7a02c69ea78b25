// A person's passkeys: shown, added, removed. Adding and removing need a sign-in of a moment ago: whoever finds an unlocked browser cannot make
// themselves an approver with it.
import { randomBytes } from "node:crypto";
import { generateRegistrationOptions, verifyRegistrationResponse } from "@simplewebauthn/server";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { passkeysPage } from "../pages/passkeys-page.ts";
import type { BrowserContext } from "./context.ts";
import { sessionBehindGate } from "./gate.ts";
import { challengeIn, relyingParty, transportsOf, userHandle } from "./passkey-facts.ts";
import { refuse } from "./refusal.ts";
import { APPROVAL_ID, signInPath } from "./return-path.ts";
import { type BrowserSession, displayName, hashOf, isFresh, viewerOf } from "./session.ts";

/** More than anybody has devices. */
const PASSKEYS_MAX = 20;
const NAME_CHARACTERS_MAX = 60;
const CHALLENGE_BYTES = 32;
const CHALLENGE_MS = 5 * 60_000;
/** EdDSA, ES256, RS256 (IANA COSE algorithms): what every auditor's library verifies. */
const ALGORITHMS = [-8, -7, -257];

const BASE64URL = { type: "string", pattern: "^[A-Za-z0-9_-]+$", maxLength: 16384 } as const;
const REGISTRATION = {
  type: "object",
  required: ["name", "registration"],
  properties: {
    name: { type: "string", maxLength: NAME_CHARACTERS_MAX },
    registration: {
      type: "object",
      required: ["id", "rawId", "type", "response"],
      properties: {
        id: BASE64URL,
        rawId: BASE64URL,
        type: { const: "public-key" },
        response: {
          type: "object",
          required: ["clientDataJSON", "attestationObject"],
          properties: {
            clientDataJSON: BASE64URL,
            attestationObject: BASE64URL,
            transports: { type: "array", maxItems: 10, items: { type: "string", maxLength: 32 } },
          },
        },
      },
    },
  },
} as const;

interface Registration {
  readonly id: string;
  readonly rawId: string;
  readonly type: "public-key";
  readonly response: {
    readonly clientDataJSON: string;
    readonly attestationObject: string;
    readonly transports?: string[];
  };
}

const REMOVAL = {
  type: "object",
  required: ["credential"],
  properties: { csrf: { type: "string" }, credential: BASE64URL },
} as const;

/** Registers the page and its routes. */
export function addPasskeys(app: FastifyInstance, context: BrowserContext): void {
  const { store, settings, clock } = context;

  app.get<{ Querystring: { for?: unknown } }>("/passkeys", async (request, reply) => {
    const session = sessionBehindGate(request);
    const { for: approvalId } = request.query;
    const forCall = typeof approvalId === "string" && APPROVAL_ID.test(approvalId) ? approvalId : undefined;
    const page = passkeysPage({
      viewer: viewerOf(session),
      passkeys: await store.passkeysOf(session.user),
      isFresh: isFresh(session, clock()),
      signInAgain: signInPath(forCall === undefined ? "/passkeys" : `/passkeys?for=${forCall}`, true),
      approvalId: forCall,
      nameCharactersMax: NAME_CHARACTERS_MAX,
    });
    return reply.type("text/html; charset=utf-8").send(page.text);
  });

  app.post("/passkeys/options", async (request, reply) => {
    const session = sessionBehindGate(request);
    if (!isFresh(session, clock())) return refuse(request, reply, "not_fresh");
    const passkeys = await store.passkeysOf(session.user);
    if (passkeys.length >= PASSKEYS_MAX) return refuse(request, reply, "passkey_limit");
    const challenge = randomBytes(CHALLENGE_BYTES).toString("base64url");
    await store.addChallenge({
      ...session.user,
      hash: hashOf(challenge),
      kind: "registration",
      approvalId: null,
      nonce: challenge,
      expiresAt: clock() + CHALLENGE_MS,
    });
    return generateRegistrationOptions({
      rpName: relyingParty(settings).name,
      rpID: relyingParty(settings).id,
      userID: new Uint8Array(userHandle(session.user)),
      userName: displayName(session),
      challenge: Buffer.from(challenge, "base64url"),
      timeout: CHALLENGE_MS,
      attestationType: "none",
      excludeCredentials: passkeys.map(({ credentialId, transports }) => ({
        id: credentialId,
        transports: transportsOf(transports),
      })),
      authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
      supportedAlgorithmIDs: ALGORITHMS,
    });
  });

  app.post<{ Body: { name: string; registration: Registration } }>(
    "/passkeys/verify",
    { schema: { body: REGISTRATION } },
    async (request, reply) => {
      const session = sessionBehindGate(request);
      if (!isFresh(session, clock())) return refuse(request, reply, "not_fresh");
      const credential = await verifiedCredential(request, request.body.registration, session, context);
      if (credential === undefined) return refuse(request, reply, "registration");
      if ((await store.passkeysOf(session.user)).length >= PASSKEYS_MAX) return refuse(request, reply, "passkey_limit");
      const wasAdded = await store.addPasskey({
        ...session.user,
        credentialId: credential.id,
        publicKey: Buffer.from(credential.publicKey).toString("base64url"),
        counter: credential.counter,
        transports: transportsOf(request.body.registration.response.transports ?? []),
        name: request.body.name.trim() || "Passkey",
        createdAt: clock(),
        lastUsedAt: null,
      });
      // Section 7.1: a credential that is registered already, to whomever, is not registered again.
      return wasAdded ? { added: true } : refuse(request, reply, "registration");
    },
  );

  app.post<{ Body: { credential: string } }>(
    "/passkeys/remove",
    { schema: { body: REMOVAL } },
    async (request, reply) => {
      const session = sessionBehindGate(request);
      if (!isFresh(session, clock())) return refuse(request, reply, "not_fresh");
      await store.removePasskey(session.user, request.body.credential);
      return reply.redirect("/passkeys", 303);
    },
  );
}

/** The credential of a registration that answers a challenge of this person (WebAuthn Level 3 section 7.1); undefined for any other. */
async function verifiedCredential(
  request: FastifyRequest,
  { id, rawId, type, response }: Registration,
  session: BrowserSession,
  { store, settings }: BrowserContext,
): Promise<{ readonly id: string; readonly publicKey: Uint8Array; readonly counter: number } | undefined> {
  const answered = challengeIn(response.clientDataJSON);
  if (answered === undefined) return undefined;
  const challenge = await store.takeChallenge(hashOf(answered), "registration");
  if (challenge === undefined) return undefined;
  if (challenge.issuer !== session.user.issuer || challenge.subject !== session.user.subject) return undefined;
  try {
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: {
        id,
        rawId,
        type,
        clientExtensionResults: {},
        response: { clientDataJSON: response.clientDataJSON, attestationObject: response.attestationObject },
      },
      expectedChallenge: challenge.nonce,
      expectedOrigin: settings.publicUrl,
      expectedRPID: relyingParty(settings).id,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    return verified ? registrationInfo.credential : undefined;
  } catch (error) {
    request.log.warn({ err: error }, "a registration was refused");
    return undefined;
  }
}

// Saying yes: a challenge that stands for this one call, and a passkey's signature over it.
import { randomBytes } from "node:crypto";
import { generateAuthenticationOptions, verifyAuthenticationResponse } from "@simplewebauthn/server";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { approvalChallenge } from "../../src/approval/challenge.ts";
import type { Evidence } from "../../src/approval/evidence.ts";
import { approverText } from "../../src/approval/receipt.ts";
import type { Approval, Passkey } from "../store/store.ts";
import { isOpen, visibleApproval } from "./approvals.ts";
import type { BrowserContext } from "./context.ts";
import { sessionBehindGate } from "./gate.ts";
import { challengeIn, relyingParty, transportsOf, userHandle } from "./passkey-facts.ts";
import { refuse } from "./refusal.ts";
import { type BrowserSession, hashOf } from "./session.ts";

/** How long a person may take from the click to the passkey. */
const CHALLENGE_MS = 2 * 60_000;
const NONCE_BYTES = 16;

const BASE64URL = { type: "string", pattern: "^[A-Za-z0-9_-]+$", maxLength: 8192 } as const;
const ASSERTION = {
  type: "object",
  required: ["id", "rawId", "type", "response"],
  properties: {
    id: BASE64URL,
    rawId: BASE64URL,
    type: { const: "public-key" },
    response: {
      type: "object",
      required: ["authenticatorData", "clientDataJSON", "signature"],
      properties: {
        authenticatorData: BASE64URL,
        clientDataJSON: BASE64URL,
        signature: BASE64URL,
        userHandle: { type: ["string", "null"], maxLength: 128 },
      },
    },
  },
} as const;

interface Assertion {
  readonly id: string;
  readonly rawId: string;
  readonly type: "public-key";
  readonly response: {
    readonly authenticatorData: string;
    readonly clientDataJSON: string;
    readonly signature: string;
    readonly userHandle?: string | null;
  };
}

/** Registers the two routes. */
export function addApprove(app: FastifyInstance, context: BrowserContext): void {
  const { store, settings, clock, metrics } = context;

  app.post<{ Params: { id: string } }>("/a/:id/challenge", async (request, reply) => {
    const session = sessionBehindGate(request);
    const found = await visibleApproval(request.params.id, session, context);
    if (found === undefined) return refuse(request, reply, "not_found");
    const { approval } = found;
    if (!isOpen(approval, clock())) return refuse(request, reply, "not_pending");
    const passkeys = await store.passkeysOf(session.user);
    if (passkeys.length === 0) return refuse(request, reply, "no_passkey");
    const nonce = randomBytes(NONCE_BYTES).toString("base64url");
    const expires = Math.floor(Math.min(clock() + CHALLENGE_MS, approval.expiresAt) / 1_000);
    const challenge = approvalChallenge({ digest: approval.digest, id: approval.id, nonce, expires });
    await store.addChallenge({
      ...session.user,
      hash: hashOf(challenge),
      kind: "assertion",
      approvalId: approval.id,
      nonce,
      expiresAt: expires * 1_000,
    });
    return generateAuthenticationOptions({
      rpID: relyingParty(settings).id,
      challenge: Buffer.from(challenge, "base64url"),
      userVerification: "required",
      timeout: CHALLENGE_MS,
      allowCredentials: passkeys.map(({ credentialId, transports }) => ({
        id: credentialId,
        transports: transportsOf(transports),
      })),
    });
  });

  app.post<{ Params: { id: string }; Body: Assertion }>(
    "/a/:id/approve",
    { schema: { body: ASSERTION } },
    async (request, reply) => {
      const session = sessionBehindGate(request);
      const found = await visibleApproval(request.params.id, session, context);
      if (found === undefined) return refuse(request, reply, "not_found");
      const { approval, standing } = found;
      if (!isOpen(approval, clock())) return refuse(request, reply, "not_pending");
      const challenge = await takenChallenge(request.body, approval, session, context);
      if (challenge === undefined) return refuse(request, reply, "challenge");
      const passkey = await store.passkey(request.body.id);
      // Somebody else's passkey signs nothing for this person, whoever holds it.
      if (passkey === undefined || !isOf(passkey, session, request.body)) return refuse(request, reply, "assertion");
      const counter = await verifiedCounter(request, context, challenge.text, passkey);
      if (counter === undefined || !(await store.usePasskey(passkey.credentialId, counter))) {
        return refuse(request, reply, "assertion");
      }
      const { authenticatorData, clientDataJSON, signature } = request.body.response;
      const evidence: Evidence = {
        v: 1,
        user: session.user,
        standing,
        credentialId: passkey.credentialId,
        publicKey: passkey.publicKey,
        authenticatorData,
        clientDataJSON,
        signature,
        challenge: { nonce: challenge.nonce, expires: challenge.expires },
        rpId: relyingParty(settings).id,
        origin: settings.publicUrl,
      };
      const outcome = await store.decide({
        id: approval.id,
        verdict: "approved",
        approver: approverText(session.user),
        assertion: JSON.stringify(evidence),
      });
      if (outcome.kind !== "decided") return refuse(request, reply, "not_pending");
      metrics.decisions.inc({ verdict: "approved" });
      return { state: outcome.approval.state };
    },
  );
}

/** The challenge that an assertion answers, taken so that nothing answers it again; undefined when it was never asked of this person for this call. */
async function takenChallenge(
  assertion: Assertion,
  approval: Approval,
  session: BrowserSession,
  { store }: BrowserContext,
): Promise<{ readonly text: string; readonly nonce: string; readonly expires: number } | undefined> {
  const answered = challengeIn(assertion.response.clientDataJSON);
  if (answered === undefined) return undefined;
  const taken = await store.takeChallenge(hashOf(answered), "assertion");
  if (taken === undefined) return undefined;
  if (taken.issuer !== session.user.issuer || taken.subject !== session.user.subject) return undefined;
  if (taken.approvalId !== approval.id) return undefined;
  const expires = taken.expiresAt / 1_000;
  // Computed again from the call as it is now: what is signed is what the database has, and what the page has shown.
  const text = approvalChallenge({ digest: approval.digest, id: approval.id, nonce: taken.nonce, expires });
  return { text, nonce: taken.nonce, expires };
}

/** The counter of an assertion that is right in every respect (WebAuthn Level 3 section 7.2); undefined for any other. */
async function verifiedCounter(
  request: FastifyRequest<{ Body: Assertion }>,
  { settings }: BrowserContext,
  challenge: string,
  passkey: Passkey,
): Promise<number | undefined> {
  const { id, rawId, type, response } = request.body;
  try {
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: {
        id,
        rawId,
        type,
        clientExtensionResults: {},
        response: {
          authenticatorData: response.authenticatorData,
          clientDataJSON: response.clientDataJSON,
          signature: response.signature,
        },
      },
      expectedChallenge: challenge,
      expectedOrigin: settings.publicUrl,
      expectedRPID: relyingParty(settings).id,
      requireUserVerification: true,
      credential: {
        id: passkey.credentialId,
        publicKey: Buffer.from(passkey.publicKey, "base64url"),
        counter: passkey.counter,
      },
    });
    return verified ? authenticationInfo.newCounter : undefined;
  } catch (error) {
    request.log.warn({ err: error }, "an assertion was refused");
    return undefined;
  }
}

function isOf(passkey: Passkey, { user }: BrowserSession, { response }: Assertion): boolean {
  if (passkey.issuer !== user.issuer || passkey.subject !== user.subject) return false;
  // Authenticators name the user of a passkey that they have found themselves (WebAuthn Level 3 section 7.2, step 6).
  return (response.userHandle ?? "") === "" || response.userHandle === userHandle(user).toString("base64url");
}

// What is kept of an approval's signature, so that anybody with the record can verify it years later, without this service and its database.
import { verifyAuthenticationResponse } from "@simplewebauthn/server";
import { approvalChallenge } from "./challenge.ts";

/** The assertion of a passkey with all that it takes to verify it (WebAuthn Level 3 section 7.2). Texts of bytes are base64url. */
export interface Evidence {
  readonly v: 1;
  /** Who approved, as the provider named them (OpenID Connect Core section 2: `iss` and `sub`). */
  readonly user: { readonly issuer: string; readonly subject: string };
  /** As what: the person whose call it is, or a member of a group of approvers. */
  readonly standing: "principal" | "group";
  readonly credentialId: string;
  /** COSE key (RFC 9052 section 7). */
  readonly publicKey: string;
  readonly authenticatorData: string;
  readonly clientDataJSON: string;
  readonly signature: string;
  /** With the call's digest and the approval's id, what the challenge was made of (challenge.ts). */
  readonly challenge: { readonly nonce: string; readonly expires: number };
  readonly rpId: string;
  readonly origin: string;
}

/**
 * Whether a passkey signed that this call is approved: the signature is its, the user was verified, and the challenge is the one that the
 * digest and the id make. Does not say whose passkey it was; that is in the service's records.
 */
export async function isEvidenceFor(
  evidence: Evidence,
  { digest, id }: { readonly digest: string; readonly id: string },
): Promise<boolean> {
  try {
    const { verified } = await verifyAuthenticationResponse({
      response: {
        id: evidence.credentialId,
        rawId: evidence.credentialId,
        type: "public-key",
        clientExtensionResults: {},
        response: {
          authenticatorData: evidence.authenticatorData,
          clientDataJSON: evidence.clientDataJSON,
          signature: evidence.signature,
        },
      },
      expectedChallenge: approvalChallenge({ digest, id, ...evidence.challenge }),
      expectedOrigin: evidence.origin,
      expectedRPID: evidence.rpId,
      requireUserVerification: true,
      // Counters are the service's matter: the one that was stored then is not part of the record.
      credential: { id: evidence.credentialId, publicKey: Buffer.from(evidence.publicKey, "base64url"), counter: -1 },
    });
    return verified;
  } catch {
    return false;
  }
}

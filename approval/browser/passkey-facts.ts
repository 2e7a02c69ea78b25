// What both ceremonies of WebAuthn need: who we are to an authenticator, and what a browser says about the question that was answered.
import { createHash } from "node:crypto";
import type { Settings } from "../settings.ts";
import type { User } from "../store/store.ts";

const TRANSPORTS = ["ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"] as const;

/** The relying party (WebAuthn Level 3 section 5.4.2): the host alone, so that a passkey works for this service and for nothing else. */
export function relyingParty({ publicUrl }: Pick<Settings, "publicUrl">): {
  readonly id: string;
  readonly name: string;
} {
  return { id: new URL(publicUrl).hostname, name: "MCP approvals" };
}

/** The user handle of WebAuthn: the same for one person always, and without anything personal in it (section 14.6.1). */
export function userHandle({ issuer, subject }: User): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([issuer, subject]))
    .digest();
}

/** The transports that this version knows; a browser may name others. */
export function transportsOf(names: readonly string[]): string[] {
  return TRANSPORTS.filter((transport) => names.includes(transport));
}

/**
 * The challenge that a client has answered, base64url. Undefined when the data is none, and when the answer was given inside a page of another
 * origin: a person who sees our page in a frame of somebody else's does not know what is around it.
 */
export function challengeIn(clientDataJson: string): string | undefined {
  try {
    const data: unknown = JSON.parse(Buffer.from(clientDataJson, "base64url").toString("utf8"));
    if (typeof data !== "object" || data === null || !("challenge" in data)) return undefined;
    if (("crossOrigin" in data && data.crossOrigin !== false) || "topOrigin" in data) return undefined;
    return typeof data.challenge === "string" ? data.challenge : undefined;
  } catch {
    return undefined;
  }
}

// Content digests as the OCI image specification writes them ("Descriptors", section "Digests").
import { createHash } from "node:crypto";

/** `sha256:` and 64 lower-case hex digits: the one algorithm that every registry and Istio know. */
export type Digest = `sha256:${string}`;

/** The digest of some bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Whether a text is a digest in its canonical form. */
export function isDigest(text: string): text is Digest {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

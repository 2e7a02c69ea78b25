// The OpenID Connect provider: found by its discovery document, kept for a while, asked again when it did not answer.
import * as client from "openid-client";
import { isLoopback } from "../../src/loopback.ts";
import type { Clock } from "../clock.ts";
import type { Settings } from "../settings.ts";

/** A provider may move its endpoints; its keys are fetched by the library whenever an unknown one signs. */
const KEPT_MS = 3_600_000;
const TIMEOUT_SECONDS = 10;

/** Gives the configuration of the provider. */
export type Provider = () => Promise<client.Configuration>;

/**
 * A provider that is looked up when it is first needed, so that the service starts without it.
 * @returns a function that throws what openid-client throws: when nobody answers, and when the document is another issuer's
 *   (OpenID Connect Discovery section 4.3).
 */
export function lazyProvider({ issuer, clientId, clientSecret }: Settings["oidc"], clock: Clock): Provider {
  let found: { readonly at: number; readonly configuration: Promise<client.Configuration> } | undefined;
  return () => {
    if (found !== undefined && clock() - found.at < KEPT_MS) return found.configuration;
    const url = new URL(issuer);
    const configuration = client.discovery(
      url,
      clientId,
      undefined,
      clientSecret === undefined ? client.None() : authentication(clientSecret),
      {
        timeout: TIMEOUT_SECONDS,
        // The settings accept http only for this machine.
        execute: url.protocol === "http:" && isLoopback(url.hostname) ? [client.allowInsecureRequests] : [],
      },
    );
    const current = { at: clock(), configuration };
    found = current;
    configuration.catch(() => {
      if (found === current) found = undefined;
    });
    return configuration;
  };
}

/** RFC 6749 section 2.3.1: every server that takes passwords of clients takes them in this form; the other one is optional. */
function authentication(secret: string): client.ClientAuth {
  return client.ClientSecretBasic(secret);
}

// What a token endpoint is asked (RFC 8693 section 2.1), and as whom the filter asks it.

import { NO_CALL, post } from "../host/call";
import { TOKEN_BYTES_MAX } from "../limits";
import { encodeBase64 } from "../memory/base64";
import { appendByte, appendLiteral, appendZeros, Buffer, reserveBytes, wipeBuffer } from "../memory/buffer";
import { ClientAuth, TOKEN_TYPES, TokenService } from "../policy/token-service";
import { appendAssertion } from "./assertion";
import { appendEncoded, appendField, appendLiteralField, appendWordField } from "./form";

/** Both tokens, of which encoding can make three times as many bytes where they have signs, and all else that there is. */
const BODY_ROOM: u32 = 6 * TOKEN_BYTES_MAX + (16 << 10);
/** Id and secret, encoded, and as base64. */
const AUTHORIZATION_ROOM: u32 = 6 << 10;
const body: Buffer = changetype<Buffer>(memory.data(16, 8));
const credentials: Buffer = changetype<Buffer>(memory.data(16, 8));
const authorization: Buffer = changetype<Buffer>(memory.data(16, 8));

/** Asks for a token in exchange for the `subjectBytes` bytes at `subject`. The token of the request that is under way then, or NO_CALL. Nothing of any secret stays. */
export function askForToken(service: TokenService, subject: usize, subjectBytes: u32): u32 {
  // Before anything is in it, so that it never moves and leaves a copy behind.
  reserveBytes(body, BODY_ROOM);
  appendLiteralField(body, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
  appendField(body, "resource", service.resourceAt, service.resourceBytes);
  appendField(body, "audience", service.audienceAt, service.audienceBytes);
  appendField(body, "scope", service.scopeAt, service.scopeBytes);
  appendWordField(body, "requested_token_type", TOKEN_TYPES, service.requestedType);
  appendField(body, "subject_token", subject, subjectBytes);
  appendWordField(body, "subject_token_type", TOKEN_TYPES, service.subjectType);
  if (service.actorBytes != 0) {
    appendField(body, "actor_token", service.actorAt, service.actorBytes);
    appendWordField(body, "actor_token_type", TOKEN_TYPES, service.actorType);
  }
  const isReady = service.auth == ClientAuth.Secret ? writeBasic(service) : appendAssertion(body, service);
  const call = isReady ? send(service) : NO_CALL;
  wipeBuffer(body);
  wipeBuffer(authorization);
  return call;
}

function send(service: TokenService): u32 {
  return post(
    service.clusterAt,
    service.clusterBytes,
    service.authorityAt,
    service.authorityBytes,
    service.pathAt,
    service.pathBytes,
    "application/x-www-form-urlencoded",
    authorization.at,
    authorization.length,
    body.at,
    body.length,
    service.timeoutMs,
  );
}

/** RFC 6749 section 2.3.1: id and secret are form-encoded before they become those of HTTP Basic (RFC 7617). */
function writeBasic(service: TokenService): bool {
  reserveBytes(credentials, AUTHORIZATION_ROOM);
  reserveBytes(authorization, AUTHORIZATION_ROOM);
  appendEncoded(credentials, service.clientAt, service.clientBytes);
  appendByte(credentials, 0x3a);
  appendEncoded(credentials, service.secretAt, service.secretBytes);
  appendLiteral(authorization, "Basic ");
  const from = authorization.length;
  appendZeros(authorization, ((credentials.length + 2) / 3) * 4);
  encodeBase64(credentials.at, credentials.length, authorization.at + from);
  wipeBuffer(credentials);
  return true;
}

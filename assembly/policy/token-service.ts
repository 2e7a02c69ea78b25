// `token_exchange`: who gives a token for another one (RFC 8693), and how it is asked.

import { copyText, Literal } from "../memory/bytes";

/** `client.auth`: how the filter says to the token endpoint who it is. */
export const enum ClientAuth {
  /** `client_secret_basic` (RFC 6749 section 2.3.1). */
  Secret,
  /** `private_key_jwt` (RFC 7523 section 2.2). */
  Key,
}

/** `client.alg` (RFC 7518 section 3.1). */
export const enum SigningAlgorithm {
  Rs256,
  Es256,
}

/** What a token is (RFC 8693 section 3); in the order of `TOKEN_TYPES`. */
export const enum TokenType {
  AccessToken,
  Jwt,
  IdToken,
}

/** The names of the types, as a configuration and a request have them; the last one is for tokens that are given away. */
export const TOKEN_TYPES: Literal =
  "urn:ietf:params:oauth:token-type:access_token urn:ietf:params:oauth:token-type:jwt urn:ietf:params:oauth:token-type:id_token";

@unmanaged
export class TokenService {
  /** Of `service`: `cluster`, `authority`, `path`. These texts and those below are owned, in one block with the record. */
  clusterAt: usize;
  clusterBytes: u32;
  authorityAt: usize;
  authorityBytes: u32;
  pathAt: usize;
  pathBytes: u32;
  /** Of `client`: `id`; `secret_env` or `key_env`; `kid` and `audience`, 0 bytes when absent. */
  clientAt: usize;
  clientBytes: u32;
  variableAt: usize;
  variableBytes: u32;
  kidAt: usize;
  kidBytes: u32;
  assertionAudienceAt: usize;
  assertionAudienceBytes: u32;
  /** `audience`, `resource`, `scope`: 0 bytes when absent. */
  audienceAt: usize;
  audienceBytes: u32;
  resourceAt: usize;
  resourceBytes: u32;
  scopeAt: usize;
  scopeBytes: u32;
  /** `actor.token_env`; 0 bytes when there is no actor. */
  actorVariableAt: usize;
  actorVariableBytes: u32;
  auth: ClientAuth;
  algorithm: SigningAlgorithm;
  requestedType: TokenType;
  subjectType: TokenType;
  actorType: TokenType;
  timeoutMs: u32;
  cacheEntries: u32;
  cacheSecondsMax: u32;
  /** What the two variables hold, read when the guard is configured: the client's secret or the DER of its key, and the actor's token. Owned. */
  secretAt: usize;
  secretBytes: u32;
  actorAt: usize;
  actorBytes: u32;
}

/** A service with the numbers and copies of the texts of `draft`, and no secrets yet. Freed with `freeTokenService`. */
export function createTokenService(draft: TokenService): TokenService {
  const bytes =
    draft.clusterBytes +
    draft.authorityBytes +
    draft.pathBytes +
    draft.clientBytes +
    draft.variableBytes +
    draft.kidBytes +
    draft.assertionAudienceBytes +
    draft.audienceBytes +
    draft.resourceBytes +
    draft.scopeBytes +
    draft.actorVariableBytes;
  const address = heap.alloc(offsetof<TokenService>() + bytes);
  const service = changetype<TokenService>(address);
  memory.copy(address, changetype<usize>(draft), offsetof<TokenService>());
  service.clusterAt = address + offsetof<TokenService>();
  service.authorityAt = copyText(service.clusterAt, draft.clusterAt, draft.clusterBytes);
  service.pathAt = copyText(service.authorityAt, draft.authorityAt, draft.authorityBytes);
  service.clientAt = copyText(service.pathAt, draft.pathAt, draft.pathBytes);
  service.variableAt = copyText(service.clientAt, draft.clientAt, draft.clientBytes);
  service.kidAt = copyText(service.variableAt, draft.variableAt, draft.variableBytes);
  service.assertionAudienceAt = copyText(service.kidAt, draft.kidAt, draft.kidBytes);
  service.audienceAt = copyText(service.assertionAudienceAt, draft.assertionAudienceAt, draft.assertionAudienceBytes);
  service.resourceAt = copyText(service.audienceAt, draft.audienceAt, draft.audienceBytes);
  service.scopeAt = copyText(service.resourceAt, draft.resourceAt, draft.resourceBytes);
  service.actorVariableAt = copyText(service.scopeAt, draft.scopeAt, draft.scopeBytes);
  copyText(service.actorVariableAt, draft.actorVariableAt, draft.actorVariableBytes);
  return service;
}

/** Gives a service the secret of its client, or the DER of its key: a copy of the `bytes` bytes at `address`. Once. */
export function setClientSecret(service: TokenService, address: usize, bytes: u32): void {
  service.secretAt = heap.alloc(bytes);
  service.secretBytes = bytes;
  memory.copy(service.secretAt, address, bytes);
}

/** Gives a service the token of its actor: a copy of the `bytes` bytes at `address`. Once. */
export function setActorToken(service: TokenService, address: usize, bytes: u32): void {
  service.actorAt = heap.alloc(bytes);
  service.actorBytes = bytes;
  memory.copy(service.actorAt, address, bytes);
}

/** Frees it with all that it owns. Nothing of the secrets stays in memory. */
export function freeTokenService(service: TokenService): void {
  forget(service.secretAt, service.secretBytes);
  forget(service.actorAt, service.actorBytes);
  heap.free(changetype<usize>(service));
}

function forget(address: usize, bytes: u32): void {
  if (bytes == 0) return;
  memory.fill(address, 0, bytes);
  heap.free(address);
}

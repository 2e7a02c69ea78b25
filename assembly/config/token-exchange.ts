// `token_exchange`: where the token of a caller is exchanged for one that the server accepts, and as whom the filter asks for it.

import { JsonReader, Token } from "../json/reader";
import {
  CACHE_ENTRIES_DEFAULT,
  CACHE_ENTRIES_MAX,
  CACHE_ENTRIES_MIN,
  CACHE_SECONDS_DEFAULT,
  CACHE_SECONDS_MAX,
  CLIENT_KID_BYTES_MAX,
  CLUSTER_BYTES_MAX,
  TOKEN_TEXT_BYTES_MAX,
  TOKEN_TIMEOUT_MS_DEFAULT,
  TOKEN_TIMEOUT_MS_MAX,
  TOKEN_TIMEOUT_MS_MIN,
  VARIABLE_NAME_BYTES_MAX,
} from "../limits";
import { Literal } from "../memory/bytes";
import { Authorization, Policy } from "../policy/policy";
import {
  ClientAuth,
  createTokenService,
  SigningAlgorithm,
  TOKEN_TYPES,
  TokenService,
  TokenType,
} from "../policy/token-service";
import { enterWord, expected, placeAtHand, told } from "./problem";
import {
  keepText,
  Member,
  nextMember,
  number,
  readNumber,
  readPrintable,
  readStart,
  readString,
  readVariableName,
  readWord,
  textAt,
  textBytes,
} from "./values";

const KNOWN =
  "service client audience resource scope requested_token_type subject_token_type actor cache_entries max_cache_seconds";
const KNOWN_SERVICE = "cluster authority path timeout_ms";
const KNOWN_CLIENT = "id auth secret_env key_env alg kid audience";
const KNOWN_ACTOR = "token_env token_type";
/** What can be asked for: a token that names a user to the client itself is none for a server. */
const REQUESTED_TYPES: Literal = "urn:ietf:params:oauth:token-type:access_token urn:ietf:params:oauth:token-type:jwt";

const CLUSTER = "a cluster's name of 1 to 512 bytes of printable ASCII";
const AUTHORITY = "a host of 1 to 512 bytes of printable ASCII";
const PATH = "a path like /oauth2/token of 1 to 512 bytes of printable ASCII that begins with a slash";
const CLIENT_ID = "a client's id of 1 to 512 bytes of printable ASCII";
const AUDIENCE = "an audience of 1 to 512 bytes of printable ASCII";
const RESOURCE = "an absolute URI without a fragment, 1 to 512 bytes (RFC 8707 section 2)";
const SCOPE = "scopes with one space between them, 1 to 512 bytes (RFC 6749 section 3.3)";
const KID = "a key's name of 1 to 128 bytes of printable ASCII";
const VARIABLE = "the name of a variable like MCP_GUARD_CLIENT_SECRET, 1 to 128 bytes";

/** Members in the order of KNOWN_CLIENT. */
const enum ClientMember {
  Id,
  Auth,
  SecretEnv,
  KeyEnv,
  Algorithm,
  KeyId,
  Audience,
}

// The service at hand, until its record is made.
const clusterAt: usize = memory.data(CLUSTER_BYTES_MAX, 4);
const authorityAt: usize = memory.data(TOKEN_TEXT_BYTES_MAX, 4);
const pathAt: usize = memory.data(TOKEN_TEXT_BYTES_MAX, 4);
const clientAt: usize = memory.data(TOKEN_TEXT_BYTES_MAX, 4);
const variableAt: usize = memory.data(VARIABLE_NAME_BYTES_MAX, 4);
const kidAt: usize = memory.data(CLIENT_KID_BYTES_MAX, 4);
const assertionAudienceAt: usize = memory.data(TOKEN_TEXT_BYTES_MAX, 4);
const audienceAt: usize = memory.data(TOKEN_TEXT_BYTES_MAX, 4);
const resourceAt: usize = memory.data(TOKEN_TEXT_BYTES_MAX, 4);
const scopeAt: usize = memory.data(TOKEN_TEXT_BYTES_MAX, 4);
const actorVariableAt: usize = memory.data(VARIABLE_NAME_BYTES_MAX, 4);
const draft: TokenService = changetype<TokenService>(memory.data(offsetof<TokenService>(), 8));
/** Bits of `ClientMember`. */
let seen: u32 = 0;

/** Reads the object into `policy`. False when the problem has been told. */
export function readTokenExchange(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with service, client, and audience or resource")) return false;
  setDefaults();
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readMember(reader, index)) return false;
  }
  if (draft.clusterBytes == 0) {
    return told("found no service, expected the cluster, the authority and the path of the token endpoint");
  }
  if (draft.clientBytes == 0) return told("found no client, expected as whom the token endpoint knows the filter");
  if (draft.audienceBytes == 0 && draft.resourceBytes == 0) {
    return told("found no audience and no resource, expected for which server the tokens are");
  }
  policy.tokenService = createTokenService(draft);
  return true;
}

/** Whether `authorization`, `token_exchange` and `identity` belong together. False when the problem has been told. */
export function checkAuthorization(policy: Policy): bool {
  const isExchange = policy.authorization == Authorization.Exchange;
  if (policy.tokenService === null) {
    return !isExchange || told("found authorization: exchange without token_exchange, expected both");
  }
  if (!isExchange) return told("found token_exchange without authorization: exchange, expected both");
  const identity = policy.identity;
  if (identity === null || identity.tokens === null) {
    return told("found token_exchange without identity.jwt, expected whose tokens are exchanged");
  }
  return true;
}

function setDefaults(): void {
  memory.fill(changetype<usize>(draft), 0, offsetof<TokenService>());
  draft.clusterAt = clusterAt;
  draft.authorityAt = authorityAt;
  draft.pathAt = pathAt;
  draft.clientAt = clientAt;
  draft.variableAt = variableAt;
  draft.kidAt = kidAt;
  draft.assertionAudienceAt = assertionAudienceAt;
  draft.audienceAt = audienceAt;
  draft.resourceAt = resourceAt;
  draft.scopeAt = scopeAt;
  draft.actorVariableAt = actorVariableAt;
  draft.timeoutMs = TOKEN_TIMEOUT_MS_DEFAULT;
  draft.cacheEntries = CACHE_ENTRIES_DEFAULT;
  draft.cacheSecondsMax = CACHE_SECONDS_DEFAULT;
}

function readMember(reader: JsonReader, index: i32): bool {
  switch (index) {
    case 0:
      return readService(reader);
    case 1:
      return readClient(reader);
    case 2:
      if (!readPrintable(reader, TOKEN_TEXT_BYTES_MAX, AUDIENCE)) return false;
      draft.audienceBytes = keepText(audienceAt);
      return true;
    case 3:
      if (!readPrintable(reader, TOKEN_TEXT_BYTES_MAX, RESOURCE)) return false;
      if (!isResource(textAt, textBytes)) return expected(reader, Token.String, textAt, textBytes, RESOURCE);
      draft.resourceBytes = keepText(resourceAt);
      return true;
    case 4:
      if (!readString(reader, TOKEN_TEXT_BYTES_MAX, SCOPE)) return false;
      if (!isScope(textAt, textBytes)) return expected(reader, Token.String, textAt, textBytes, SCOPE);
      draft.scopeBytes = keepText(scopeAt);
      return true;
    case 5: {
      const requested = readWord(reader, REQUESTED_TYPES);
      draft.requestedType = requested == 1 ? TokenType.Jwt : TokenType.AccessToken;
      return requested >= 0;
    }
    case 6: {
      const subject = readWord(reader, TOKEN_TYPES);
      draft.subjectType = subject;
      return subject >= 0;
    }
    case 7:
      return readActor(reader);
    case 8:
      if (!readNumber(reader, CACHE_ENTRIES_MIN, CACHE_ENTRIES_MAX)) return false;
      draft.cacheEntries = number;
      return true;
    default:
      if (!readNumber(reader, 0, CACHE_SECONDS_MAX)) return false;
      draft.cacheSecondsMax = number;
      return true;
  }
}

function readService(reader: JsonReader): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with cluster, authority and path")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_SERVICE, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readServiceMember(reader, index)) return false;
  }
  if (draft.clusterBytes == 0)
    return told("found no cluster, expected the name of the proxy's cluster for the service");
  if (draft.authorityBytes == 0) return told("found no authority, expected the service's host like idp.example.com");
  return draft.pathBytes != 0 || told("found no path, expected that of the token endpoint like /oauth2/token");
}

function readServiceMember(reader: JsonReader, index: i32): bool {
  switch (index) {
    case 0:
      if (!readPrintable(reader, CLUSTER_BYTES_MAX, CLUSTER)) return false;
      draft.clusterBytes = keepText(clusterAt);
      return true;
    case 1:
      if (!readPrintable(reader, TOKEN_TEXT_BYTES_MAX, AUTHORITY)) return false;
      draft.authorityBytes = keepText(authorityAt);
      return true;
    case 2:
      if (!readPrintable(reader, TOKEN_TEXT_BYTES_MAX, PATH)) return false;
      if (!isPath(textAt, textBytes)) return expected(reader, Token.String, textAt, textBytes, PATH);
      draft.pathBytes = keepText(pathAt);
      return true;
    default:
      if (!readNumber(reader, TOKEN_TIMEOUT_MS_MIN, TOKEN_TIMEOUT_MS_MAX)) return false;
      draft.timeoutMs = number;
      return true;
  }
}

function readClient(reader: JsonReader): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with id and auth")) return false;
  seen = 0;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_CLIENT, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readClientMember(reader, index)) return false;
    seen |= 1 << index;
  }
  if (!has(ClientMember.Id)) return told("found no id, expected the client's id at the token endpoint");
  if (!has(ClientMember.Auth)) return told("found no auth, expected client_secret_basic or private_key_jwt");
  return draft.auth == ClientAuth.Secret ? isSecretClient() : isKeyClient();
}

function readClientMember(reader: JsonReader, member: ClientMember): bool {
  switch (member) {
    case ClientMember.Id:
      if (!readPrintable(reader, TOKEN_TEXT_BYTES_MAX, CLIENT_ID)) return false;
      draft.clientBytes = keepText(clientAt);
      return true;
    case ClientMember.Auth: {
      const auth = readWord(reader, "client_secret_basic private_key_jwt");
      draft.auth = auth == 1 ? ClientAuth.Key : ClientAuth.Secret;
      return auth >= 0;
    }
    case ClientMember.Algorithm: {
      const algorithm = readWord(reader, "RS256 ES256");
      draft.algorithm = algorithm == 1 ? SigningAlgorithm.Es256 : SigningAlgorithm.Rs256;
      return algorithm >= 0;
    }
    case ClientMember.KeyId:
      if (!readPrintable(reader, CLIENT_KID_BYTES_MAX, KID)) return false;
      draft.kidBytes = keepText(kidAt);
      return true;
    case ClientMember.Audience:
      if (!readPrintable(reader, TOKEN_TEXT_BYTES_MAX, AUDIENCE)) return false;
      draft.assertionAudienceBytes = keepText(assertionAudienceAt);
      return true;
    default:
      if (!readVariableName(reader, VARIABLE)) return false;
      draft.variableBytes = keepText(variableAt);
      return true;
  }
}

function isSecretClient(): bool {
  for (let member: i32 = ClientMember.KeyEnv; member <= ClientMember.Audience; member++) {
    if (!has(member)) continue;
    enterWord(KNOWN_CLIENT, member);
    return told("found it with auth: client_secret_basic, expected it with auth: private_key_jwt only");
  }
  if (has(ClientMember.SecretEnv)) return true;
  return told("found auth: client_secret_basic without secret_env, expected the variable that holds the secret");
}

function isKeyClient(): bool {
  if (has(ClientMember.SecretEnv)) {
    enterWord(KNOWN_CLIENT, ClientMember.SecretEnv);
    return told("found it with auth: private_key_jwt, expected it with auth: client_secret_basic only");
  }
  if (!has(ClientMember.KeyEnv)) {
    return told("found auth: private_key_jwt without key_env, expected the variable that holds the private key");
  }
  if (!has(ClientMember.Algorithm)) return told("found auth: private_key_jwt without alg, expected RS256 or ES256");
  if (has(ClientMember.Audience)) return true;
  return told("found auth: private_key_jwt without audience, expected the issuer, or the URL of the token endpoint");
}

function has(member: ClientMember): bool {
  return (seen & (1 << member)) != 0;
}

function readActor(reader: JsonReader): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with token_env")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_ACTOR, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    if (index == 0) {
      if (!readVariableName(reader, VARIABLE)) return false;
      draft.actorVariableBytes = keepText(actorVariableAt);
    } else {
      const kind = readWord(reader, TOKEN_TYPES);
      if (kind < 0) return false;
      draft.actorType = kind;
    }
  }
  return (
    draft.actorVariableBytes != 0 || told("found no token_env, expected the variable that holds the actor's token")
  );
}

function isPath(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if (byte == 0x23 || (i == 0 && byte != 0x2f)) return false;
  }
  return true;
}

/** A scheme (RFC 3986 section 3.1), a colon and something behind it, no fragment. */
function isResource(address: usize, bytes: u32): bool {
  let colon: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if (byte == 0x23) return false;
    if (colon != 0) continue;
    if (byte == 0x3a) {
      if (i == 0) return false;
      colon = i;
    } else if ((byte | 0x20) - 0x61 >= 26) {
      const isLater = byte - 0x30 < 10 || byte == 0x2b || byte == 0x2d || byte == 0x2e;
      if (i == 0 || !isLater) return false;
    }
  }
  return colon != 0 && colon + 1 < bytes;
}

/** Tokens of printable ASCII without `"` and `\`, one space between two of them. */
function isScope(address: usize, bytes: u32): bool {
  let wasSpace = true;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes.
    const isSpace = byte == 0x20;
    if (isSpace ? wasSpace : byte - 0x21 > 0x5d || byte == 0x22 || byte == 0x5c) return false;
    wasSpace = isSpace;
  }
  return !wasSpace;
}

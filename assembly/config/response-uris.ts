// `response_uris`: the URIs outside of `resource_roots` that a server may point its client to.

import { JsonReader, Token } from "../json/reader";
import { HOST_BYTES_MAX, RESPONSE_SCHEMES_MAX, SCHEME_BYTES_MAX } from "../limits";
import { Policy } from "../policy/policy";
import { placeAtHand, told } from "./problem";
import { checkHosts, checkSchemes } from "./roots";
import { Member, nextMember, readNames, readStart } from "./values";

const KNOWN = "schemes hosts";

/** Reads the object. False when the problem has been told. */
export function readResponseUris(source: JsonReader, policy: Policy): bool {
  if (!readStart(source, Token.ObjectStart, "an object with schemes and hosts")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(source, KNOWN, place);
    if (index == Member.End) return true;
    if (index == Member.Bad) return false;
    if (!(index == 0 ? readSchemes(source, policy) : readHosts(source, policy))) return false;
  }
}

function readSchemes(source: JsonReader, policy: Policy): bool {
  const schemes = readNames(source, SCHEME_BYTES_MAX, "a URI scheme like https, 1 to 32 bytes");
  policy.responseSchemes = schemes;
  if (schemes === null) return false;
  if (schemes.entries > RESPONSE_SCHEMES_MAX) return told("the list has too many entries, expected at most 64");
  return checkSchemes(schemes);
}

function readHosts(source: JsonReader, policy: Policy): bool {
  const hosts = readNames(source, HOST_BYTES_MAX, "a host like docs.example or docs.example:8443, 1 to 256 bytes");
  policy.responseHosts = hosts;
  if (hosts === null) return false;
  // An empty list would allow no URI, and an empty list of schemes says that.
  if (hosts.entries == 0) return told("found an empty list, expected at least one host");
  // They are compared with a URI byte by byte, so a capital letter would allow less than its author meant.
  return checkHosts(hosts, true);
}

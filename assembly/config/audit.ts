// `audit`: what is left behind of each exchange.

import { JsonReader, Token } from "../json/reader";
import { Policy } from "../policy/policy";
import { enterMember, leavePath, unknownMember } from "./problem";
import { readStart, readToken, readWord, wordIndex } from "./values";

const KNOWN = "line";

/** Reads the object into `policy`. False when the problem has been told. */
export function readAudit(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with line")) return false;
  while (true) {
    const token = readToken(reader);
    if (token == Token.ObjectEnd) return true;
    if (token != Token.Key) return false;
    if (wordIndex(reader.keyAt, reader.textBytes, KNOWN) < 0) {
      return unknownMember(reader.keyAt, reader.textBytes, KNOWN);
    }
    const before = enterMember("line");
    const line = readWord(reader, "json none");
    if (line < 0) return false;
    policy.auditLine = line;
    leavePath(before);
  }
}

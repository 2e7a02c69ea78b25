// `audit`: what is left behind of each exchange.

import { JsonReader, Token } from "../json/reader";
import { Policy } from "../policy/policy";
import { enterMember, leavePath, unknownMember } from "./problem";
import { readStart, readToken, readWord, wordIndex } from "./values";

const KNOWN = "line arguments response";

/** Reads the object into `policy`. False when the problem has been told. */
export function readAudit(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with line, arguments and response")) return false;
  while (true) {
    const token = readToken(reader);
    if (token == Token.ObjectEnd) return true;
    if (token != Token.Key) return false;
    const index = wordIndex(reader.keyAt, reader.textBytes, KNOWN);
    if (index < 0) return unknownMember(reader.keyAt, reader.textBytes, KNOWN);
    const before = enterMember(index == 0 ? "line" : index == 1 ? "arguments" : "response");
    const word = readWord(reader, index == 0 ? "json none" : "none digest");
    if (word < 0) return false;
    if (index == 0) policy.auditLine = word;
    else if (index == 1) policy.auditArguments = word;
    else policy.auditResponse = word;
    leavePath(before);
  }
}

// From the host's configuration to a guard that enforces it.

import { policyDigest } from "../config/digest";
import { parsePolicy } from "../config/parse";
import { toldProblem } from "../config/problem";
import { BufferId, LogLevel } from "../host/abi";
import { readBuffer } from "../host/buffer";
import { readVariable } from "../host/environment";
import { landedAt } from "../host/landing";
import { log } from "../host/log";
import { fillRandom } from "../host/random";
import {
  APPROVAL_SECRET_BYTES_MAX,
  CLIENT_KEY_BYTES_MAX,
  CLIENT_SECRET_BYTES_MAX,
  TEXT_BYTES_MAX,
  TOKEN_BYTES_MAX,
} from "../limits";
import { Literal } from "../memory/bytes";
import { setShortHashKey } from "../memory/short-hash";
import { setHashKey } from "../memory/siphash";
import {
  allocateWriter,
  clear,
  Writer,
  writeBytes,
  writeEscaped,
  writeHex,
  writeLiteral,
  writeNumber,
} from "../memory/writer";
import { Approver, setSecret } from "../policy/approver";
import { isFlagged } from "../policy/flagged";
import { firstName, nameBytes, nextName } from "../policy/name-set";
import { freePolicy, Mode, Policy } from "../policy/policy";
import { initReasons } from "../policy/reason";
import { bitsOf, FactKind, factOf, meet, RuleBits, Rules } from "../policy/rules";
import { ClientAuth, setActorToken, setClientSecret, TokenService } from "../policy/token-service";
import { privateKey } from "../token/private-key";
import { forgetPolls } from "./approval-turns";
import { defineCounters } from "./counters";
import { Guard, setPolicy } from "./guard";
import { startTicking } from "./held";
import { defineToolCounters } from "./tool-counters";

const line: Writer = allocateWriter(TEXT_BYTES_MAX);
/** Six words: two for the one hash, four for the other. */
const keyAt: usize = memory.data(48, 8);
/** Room for the largest secret: of two the compiler can give the sum, and not the larger one. */
const SECRET_ROOM: u32 = CLIENT_KEY_BYTES_MAX + TOKEN_BYTES_MAX;
const secretAt: usize = memory.data(SECRET_ROOM, 8);
const SECRET: Literal = " of 1 to 512 printable bytes";
const PRIVATE_KEY: Literal =
  " with a private key in PKCS#8 (RFC 5958), as PEM or as its base64 alone, of at most 8192 bytes";
const ACTOR_TOKEN: Literal = " of 1 to 8192 printable bytes";
let isStarted: bool = false;

/**
 * `proxy_on_vm_start`: once per VM what all its guards share. False, which makes the host refuse the plugin, when there
 * are no random numbers: the duplicate check would have a key that everybody knows.
 */
export function startVm(): bool {
  if (isStarted) return true;
  if (!fillRandom(keyAt, 48)) return false;
  // SAFETY: 48 bytes of ours.
  setHashKey(load<u64>(keyAt), load<u64>(keyAt, 8));
  setShortHashKey(load<u64>(keyAt, 16), load<u64>(keyAt, 24), load<u64>(keyAt, 32), load<u64>(keyAt, 40));
  initReasons();
  isStarted = true;
  return true;
}

/** `proxy_on_configure`: `bytes` is the length of the plugin configuration. False refuses it. */
export function configure(guard: Guard, bytes: u32): bool {
  if (!readBuffer(BufferId.PluginConfiguration, 0, bytes)) return refuseConfiguration("the host does not give it");
  const policy = parsePolicy(landedAt(), bytes);
  if (policy === null) {
    const problem = toldProblem();
    startLine();
    writeLiteral(line, "configuration refused: ");
    writeBytes(line, problem.start, problem.length);
    log(LogLevel.Error, line);
    return false;
  }
  if (!readSecrets(policy)) {
    freePolicy(policy);
    return false;
  }
  const digest = policyDigest(policy);
  if (!setPolicy(guard, policy, digest) || !defineCounters() || !defineToolCounters(guard, policy)) {
    setPolicy(guard, null, 0);
    return refuseConfiguration("the host refuses a metric");
  }
  forgetPolls(guard);
  if (!startTicking(guard)) {
    setPolicy(guard, null, 0);
    return refuseConfiguration("the host refuses a timer");
  }
  announce(policy, digest);
  return true;
}

/** Fetches the secrets, which do not stand in the configuration. False when one is not there. */
function readSecrets(policy: Policy): bool {
  const approver = policy.approver;
  const service = policy.tokenService;
  const areThere =
    (approver === null || readApprovalSecret(approver)) && (service === null || readTokenSecrets(service));
  memory.fill(secretAt, 0, SECRET_ROOM);
  return areThere;
}

function readApprovalSecret(approver: Approver): bool {
  if (approver.secretEnvBytes == 0) return true;
  const bytes = readVariable(approver.secretEnvAt, approver.secretEnvBytes, secretAt, APPROVAL_SECRET_BYTES_MAX);
  if (bytes > 0 && isHeaderValue(secretAt, u32(bytes))) {
    setSecret(approver, secretAt, u32(bytes));
    return true;
  }
  const variable = approver.secretEnvAt;
  return refuseVariable("approval.service.secret_env", variable, approver.secretEnvBytes, SECRET);
}

function readTokenSecrets(service: TokenService): bool {
  const isKey = service.auth == ClientAuth.Key;
  const room = isKey ? CLIENT_KEY_BYTES_MAX : CLIENT_SECRET_BYTES_MAX;
  const bytes = readVariable(service.variableAt, service.variableBytes, secretAt, room);
  if (isKey) {
    const keyBytes = bytes > 0 ? privateKey(secretAt, u32(bytes)) : 0;
    if (keyBytes == 0) {
      return refuseVariable("token_exchange.client.key_env", service.variableAt, service.variableBytes, PRIVATE_KEY);
    }
    setClientSecret(service, secretAt, keyBytes);
  } else {
    if (bytes <= 0 || !isHeaderValue(secretAt, u32(bytes))) {
      return refuseVariable("token_exchange.client.secret_env", service.variableAt, service.variableBytes, SECRET);
    }
    setClientSecret(service, secretAt, u32(bytes));
  }
  if (service.actorVariableBytes == 0) return true;
  const actorBytes = readVariable(service.actorVariableAt, service.actorVariableBytes, secretAt, TOKEN_BYTES_MAX);
  if (actorBytes <= 0 || !isHeaderValue(secretAt, u32(actorBytes))) {
    const variable = service.actorVariableAt;
    return refuseVariable("token_exchange.actor.token_env", variable, service.actorVariableBytes, ACTOR_TOKEN);
  }
  setActorToken(service, secretAt, u32(actorBytes));
  return true;
}

/** Tells that the variable which a member names is not there, or is not `what` it must be. False. */
function refuseVariable(member: Literal, variableAt: usize, variableBytes: u32, what: Literal): bool {
  startLine();
  writeLiteral(line, "configuration refused: ");
  writeLiteral(line, member);
  writeLiteral(line, ": found no variable ");
  writeEscaped(line, variableAt, variableBytes, variableBytes);
  writeLiteral(line, what);
  writeLiteral(line, ", expected it in the environment of the VM (vm_config.environment_variables)");
  log(LogLevel.Error, line);
  return false;
}

/** Whether a secret can stand in a header (RFC 6750 section 2.1 has less). */
function isHeaderValue(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    if (u32(load<u8>(address + i)) - 0x21 > 0x5d) return false; // SAFETY: i < bytes, the caller's range.
  }
  return true;
}

function refuseConfiguration(why: Literal): bool {
  startLine();
  writeLiteral(line, "configuration refused: ");
  writeLiteral(line, why);
  log(LogLevel.Error, line);
  return false;
}

function startLine(): void {
  clear(line);
  writeLiteral(line, "mcp-guard: ");
}

/** Whether there is a rule under which calls of the tool need no approval. */
function exempts(rules: Rules, name: usize, bytes: u32): bool {
  if (factOf(rules, FactKind.Exempt, name, bytes) !== null) return true;
  const off = bitsOf(rules, RuleBits.ApprovalOff);
  return meet(rules, off, off);
}

/** Says what is in force, and what an operator may not expect of it. */
function announce(policy: Policy, digest: u64): void {
  const tools = policy.allTools;
  if (tools === null) return;
  const rules = policy.rules;
  startLine();
  writeLiteral(line, "policy ");
  writeHex(line, digest, 16);
  writeLiteral(line, policy.mode == Mode.Monitor ? " in monitor mode: nothing is refused" : " in force");
  writeLiteral(line, ", tools listed: ");
  writeNumber(line, tools.entries);
  if (rules !== null) {
    writeLiteral(line, ", rules: ");
    writeNumber(line, rules.count);
  }
  log(policy.mode == Mode.Monitor ? LogLevel.Warn : LogLevel.Info, line);
  if (policy.approvalOff || policy.approver !== null) return;
  for (let name = firstName(tools); name != 0; name = nextName(tools, name)) {
    if (!isFlagged(policy, null, name, nameBytes(name))) continue;
    startLine();
    writeLiteral(line, 'the tool "');
    writeEscaped(line, name, nameBytes(name), nameBytes(name));
    writeLiteral(line, '" is listed, but a human must approve its calls, and approval is not configured: ');
    writeLiteral(line, "its calls are refused");
    if (rules !== null && exempts(rules, name, nameBytes(name)))
      writeLiteral(line, ", but for those whom a rule exempts");
    log(LogLevel.Warn, line);
  }
}

// `mcp-guard approval verify`: whether an export of the approval service is whole and true.
import { createPublicKey, type KeyObject } from "node:crypto";
import { parseArgs } from "node:util";
import { type ExportFault, type ExportVerification, verifyExport } from "../../approval/verify-export.ts";
import { placeText } from "../../audit/trail.ts";
import { visible } from "../../audit/visible.ts";
import { GuardError } from "../../error.ts";
import { auditInputs } from "../audit-input.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard approval verify --key KID=SPKI [options] FILE...

Checks what the approval service has exported: that each digest is that of its call, that a passkey has signed each call that was
approved, that each receipt is signed by the service and about its call, and that no entry of the history is missing. Ends with
status 1 when something does not fit, or there is no approval at all.

  FILE                  an export, or - for the standard input; several are read one after the other, the older ones first
  --key <kid>=<spki>    a public key of the service, as approval.keys of the guards' policy has it; again for each other one
  --after <sequence>    the exports begin behind this entry of the history
  --audit <log>         audit records of guards: each that names an approval has to agree with it, and no approval lets two
                        calls pass; again for each other log
`;

/** Faults that are shown; the others are counted. */
const FAULTS_SHOWN = 100;
/** A sequence that a number carries. */
const SEQUENCE = /^\d{1,15}$/;

/** Reads exports and says what does not fit. */
export const approvalVerify: Command = async (args, context) => {
  const list = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      key: list,
      after: { type: "string", default: "0" },
      audit: list,
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  if (!SEQUENCE.test(values.after)) {
    throw new GuardError(
      "ERR_USAGE",
      `--after ${visible(values.after)}: expected the sequence of an entry of the history`,
    );
  }
  const keys = keysOf(values.key);
  // Together, so that the standard input is not named for both.
  const inputs = auditInputs(positionals.length === 0 ? [] : [...positionals, ...values.audit], context.signal);
  const shown: ExportFault[] = [];
  const found = await verifyExport({
    exports: inputs.slice(0, positionals.length),
    keys,
    after: Number(values.after),
    ...(values.audit.length > 0 && { audit: inputs.slice(positionals.length) }),
    onFault: (fault) => {
      if (shown.length < FAULTS_SHOWN) shown.push(fault);
    },
  });
  for (const line of render(found, shown)) context.out(line);
  if (found.faults === 0 && found.approvals > 0) return 0;
  context.warn(`mcp-guard approval verify: ${verdict(found)}`);
  return 1;
};

function keysOf(texts: readonly string[]): ReadonlyMap<string, KeyObject> {
  const expected = "expected --key <kid>=<spki>, as kid and spki stand in approval.keys of the guards' policy";
  if (texts.length === 0) throw new GuardError("ERR_USAGE", `found no --key, ${expected}`);
  const keys = new Map<string, KeyObject>();
  for (const text of texts) {
    // The first one: the base64 behind it may end with others.
    const at = text.indexOf("=");
    const kid = text.slice(0, Math.max(at, 0));
    const key = publicKey(text.slice(at + 1));
    if (kid === "" || key === undefined) throw new GuardError("ERR_USAGE", `--key ${visible(text)}: ${expected}`);
    if (keys.has(kid)) throw new GuardError("ERR_USAGE", `--key: found ${visible(kid)} twice, expected it once`);
    keys.set(kid, key);
  }
  return keys;
}

/** A key of the curve P-256; undefined for everything else. */
function publicKey(spki: string): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(spki, "base64"), format: "der", type: "spki" });
    return key.asymmetricKeyDetails?.namedCurve === "prime256v1" ? key : undefined;
  } catch {
    return undefined;
  }
}

function render(found: ExportVerification, faults: readonly ExportFault[]): string[] {
  const states = Object.entries(found.states).map(([state, count]) => `${state} ${count}`);
  const { joined } = found;
  return [
    ...faults.map(faultLine),
    ...(found.faults > faults.length ? [`and ${found.faults - faults.length} more faults`] : []),
    ...(faults.length > 0 ? [""] : []),
    `approvals ${found.approvals}: ${states.join(", ")}; last entry of the history ${found.lastSequence}`,
    ...(joined
      ? [`audit records with an approval ${joined.records}; claimed, and in no record ${joined.claimedInNone}`]
      : []),
    verdict(found),
  ];
}

function faultLine({ file, line, id, text }: ExportFault): string {
  const place = file !== undefined && line !== undefined ? `${placeText({ file, line })}: ` : "";
  return `${place}${id === undefined ? "" : `approval ${visible(id)}: `}${text}`;
}

function verdict({ faults, approvals }: ExportVerification): string {
  if (faults === 0) return approvals > 0 ? "no faults" : "found no approval, expected at least one";
  return faults === 1 ? "1 fault" : `${faults} faults`;
}

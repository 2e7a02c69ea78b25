// What is wrong with one exported approval: whether its parts are about one call, and whether they prove what it says became of that.
import { visible } from "../audit/visible.ts";
import { GuardError } from "../error.ts";
import { callDigest } from "./digest.ts";
import { isEvidenceFor } from "./evidence.ts";
import type { ExportedApproval, ExportedEvent } from "./exported.ts";
import { approverText, CLOCK_SKEW_SECONDS, type Receipt, type ReceiptKey, verifyReceipt } from "./receipt.ts";

/** The ways that an approval can go. */
const WAYS = [
  "opened",
  "opened denied",
  "opened expired",
  "opened approved",
  "opened approved expired",
  "opened approved claimed",
];
/** What a receipt and the approval both have. */
const NAMES = ["id", "nonce", "digest", "server", "issuer", "principal", "tool", "approver"] as const;

/**
 * The first thing that does not fit, as a sentence; undefined when everything does.
 * @param keys the service's public keys by `kid`.
 */
export async function approvalFault(
  approval: ExportedApproval,
  keys: ReadonlyMap<string, ReceiptKey>,
): Promise<string | undefined> {
  return (
    digestFault(approval) ?? historyFault(approval) ?? (await evidenceFault(approval)) ?? receiptFault(approval, keys)
  );
}

function digestFault({ input_responses, ...call }: ExportedApproval): string | undefined {
  try {
    const digest = callDigest({ ...call, inputResponses: input_responses });
    return digest === call.digest ? undefined : `digest: found ${call.digest}, but that of the call is ${digest}`;
  } catch (error) {
    if (error instanceof GuardError) return error.message;
    throw error;
  }
}

/** Whether the members say what the history says, which the database refuses to change. */
function historyFault(approval: ExportedApproval): string | undefined {
  const { history } = approval;
  const way = history.map(({ event }) => event).join(" ");
  if (!WAYS.includes(way)) return `history: found ${way}, which is no way that an approval goes`;
  if (history.some(({ sequence }, index) => sequence <= (history[index - 1]?.sequence ?? 0))) {
    return "history: its entries are not in order";
  }
  const of = (...events: ExportedEvent["event"][]): ExportedEvent | undefined =>
    history.find(({ event }) => events.includes(event));
  const last = history.at(-1)?.event;
  const opened = of("opened");
  const decided = of("approved", "denied");
  const claimed = of("claimed");
  const expected: readonly (readonly [keyof ExportedApproval, unknown])[] = [
    ["state", last === "opened" ? "pending" : last],
    ["opened_at", opened?.at],
    ["digest", opened?.detail],
    ["decided_at", decided?.at ?? null],
    ["approver", decided?.actor ?? null],
    ["reason", decided?.event === "denied" ? decided.detail : null],
    ["claimed_at", claimed?.at ?? null],
    ["nonce", claimed?.detail ?? null],
  ];
  const wrong = expected.find(([member, value]) => approval[member] !== value);
  return wrong === undefined ? undefined : `${wrong[0]}: not what the history says`;
}

/** Whether the approver's passkey has signed this very approval, and nobody else's, when it was approved at all. */
async function evidenceFault(approval: ExportedApproval): Promise<string | undefined> {
  const { evidence, approver } = approval;
  const wasApproved = approval.history.some(({ event }) => event === "approved");
  if (evidence === null) return wasApproved ? "evidence: there is none, and the call was approved" : undefined;
  if (!wasApproved) return "evidence: there is some, and the call was not approved";
  if (approverText(evidence.user) !== approver) return "evidence: of another user than the approver";
  return (await isEvidenceFor(evidence, approval)) ? undefined : "evidence: no signature for this approval";
}

async function receiptFault(
  approval: ExportedApproval,
  keys: ReadonlyMap<string, ReceiptKey>,
): Promise<string | undefined> {
  const { receipt, state } = approval;
  if (receipt === null) return state === "claimed" ? "receipt: there is none, and the approval was claimed" : undefined;
  if (state !== "claimed") return "receipt: there is one, and the approval was not claimed";
  const verified = await verifyReceipt(receipt, keys);
  if ("fault" in verified) return `receipt: ${visible(verified.fault)}`;
  const wrong = NAMES.find((name) => verified.receipt[name] !== approval[name]);
  if (wrong !== undefined) return `receipt: its ${wrong} is not that of the approval`;
  return isInTime(verified.receipt, approval)
    ? undefined
    : "receipt: not of the time between the approval and the claim";
}

/** Receipts are signed between the approval and its claim, with the clock of one replica, which may differ a little from another's. */
function isInTime({ iat }: Receipt, { decided_at, claimed_at }: ExportedApproval): boolean {
  const [decided, claimed] = [decided_at, claimed_at].map((time) => Date.parse(time ?? "") / 1_000);
  if (decided === undefined || claimed === undefined) return false;
  return iat >= Math.floor(decided) - CLOCK_SKEW_SECONDS && iat <= claimed + CLOCK_SKEW_SECONDS;
}

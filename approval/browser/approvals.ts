// Approvals as one person may see them. Somebody else's does not exist for whoever asks.
import { callDigest } from "../../src/approval/digest.ts";
import type { Approval, Visible } from "../store/store.ts";
import { callersOf, isGroupApprover, type Standing, standingOf } from "./approver.ts";
import type { BrowserContext } from "./context.ts";
import { APPROVAL_ID } from "./return-path.ts";
import type { BrowserSession } from "./session.ts";

/** An approval, and as what the person decides about it. */
export interface VisibleApproval {
  readonly approval: Approval;
  readonly standing: Exclude<Standing, "none">;
}

/**
 * The approval with this id, if the person may decide about it.
 * @throws Error when the record is not the one that the guard asked for.
 */
export async function visibleApproval(
  id: string,
  session: BrowserSession,
  { store, settings }: BrowserContext,
): Promise<VisibleApproval | undefined> {
  if (!APPROVAL_ID.test(id)) return undefined;
  const approval = await store.approval(id);
  if (approval === undefined) return undefined;
  const standing = standingOf(approval, session, settings);
  if (standing === "none") return undefined;
  // What is shown and what is signed for are one: a record that was changed behind the service's back is neither.
  if (callDigest(approval) !== approval.digest) throw new Error(`approval ${id}: the digest is not that of the call`);
  return { approval, standing };
}

/** Which approvals the person's list has. */
export function visibleTo(session: BrowserSession, { settings }: Pick<BrowserContext, "settings">): Visible {
  return isGroupApprover(session, settings) ? "everybody" : callersOf(session, settings);
}

/** Whether an approval can be decided now. The store says the last word, when it decides. */
export function isOpen(approval: Approval, now: number): boolean {
  return approval.state === "pending" && approval.expiresAt > now;
}

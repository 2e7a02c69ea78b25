// The list of a person's calls: what waits for them first, then what was.
import type { Approval, ApprovalState } from "../store/store.ts";
import { stateAt } from "./approval-page.ts";
import { type Html, html } from "./html.ts";
import { page, type Viewer } from "./layout.ts";
import { markText } from "./marks.ts";
import { countdown, moment } from "./moment.ts";

export interface ListPageParts {
  readonly viewer: Viewer;
  readonly open: readonly Approval[];
  readonly closed: readonly Approval[];
  /** Whether the viewer sees everybody's calls. */
  readonly isGroupApprover: boolean;
  /** The path of the next page of the history, when there is one. */
  readonly older: string | undefined;
  /** Whether this is a later page of the history, which shows nothing else. */
  readonly isLater: boolean;
  readonly now: number;
}

/** The whole page. */
export function listPage(parts: ListPageParts): Html {
  const { viewer, open, closed, older, isLater, isGroupApprover, now } = parts;
  return page({
    title: open.length > 0 ? `Calls (${open.length} waiting)` : "Calls",
    viewer,
    ...(isLater ? {} : { live: {} }),
    main: html`<div id="live" data-now="${now}">
<h1>Calls</h1>
${isGroupApprover && html`<p class="notice">You are a member of a group of approvers: you see the calls of everybody.</p>`}
${
  !isLater &&
  html`<section aria-labelledby="waiting">
<h2 id="waiting">Waiting for a decision (${open.length})</h2>
${open.length === 0 ? html`<p>No call waits for you.</p>` : listOf(open, parts)}
</section>`
}
<section aria-labelledby="earlier">
<h2 id="earlier">${isLater ? "Earlier still" : "Earlier"}</h2>
${closed.length === 0 ? html`<p>${isLater ? "There is nothing older." : "Nothing yet."}</p>` : listOf(closed, parts)}
${older !== undefined && html`<p><a href="${older}" rel="next">Older calls</a></p>`}
${isLater && html`<p><a href="/">Back to the newest</a></p>`}
</section>
</div>`,
  });
}

const STATES: Readonly<Record<ApprovalState, string>> = {
  pending: "Waiting",
  approved: "Approved",
  denied: "Denied",
  expired: "Expired",
  claimed: "Approved and sent",
};

function listOf(approvals: readonly Approval[], { now }: ListPageParts): Html {
  return html`<ul class="calls">${approvals.map((approval) => {
    const state = stateAt(approval, now);
    return html`
<li class="call ${state}">
<a href="/a/${approval.id}"><strong class="tool">${markText(approval.tool)}</strong> on ${markText(approval.server)}</a>
<span class="detail">for ${markText(approval.principal)}, ${moment(approval.openedAt)}</span>
<span class="badge">${STATES[state]}${state === "pending" && html`, ${countdown(approval.expiresAt, now)} left`}</span>
</li>`;
  })}
</ul>`;
}

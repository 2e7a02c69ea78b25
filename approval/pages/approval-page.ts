// The page of one call: everything that the approval is about, what can be done about it, and what became of it.
import { type JsonNode, parseCanonical } from "../../src/approval/canonical.ts";
import { visible } from "../../src/audit/visible.ts";
import type { Approval, ApprovalState, HistoryEntry } from "../store/store.ts";
import { type Content, type Html, html } from "./html.ts";
import { page, tokenField, type Viewer } from "./layout.ts";
import { countCharacters, markText } from "./marks.ts";
import { countdown, moment } from "./moment.ts";
import { counted, type Survey, showText, showValue, surveyText, surveyValue } from "./value.ts";

export interface ApprovalPageParts {
  readonly approval: Approval;
  readonly history: readonly HistoryEntry[];
  readonly viewer: Viewer;
  /** Whether the call is the viewer's own; else they decide for somebody else. */
  readonly isOwn: boolean;
  readonly hasPasskey: boolean;
  /** How long a reason may be. */
  readonly reasonCharactersMax: number;
  readonly now: number;
}

/** The whole page. */
export function approvalPage(parts: ApprovalPageParts): Html {
  const { approval, viewer, now } = parts;
  const state = stateAt(approval, now);
  const survey = surveyCall(approval);
  return page({
    title: `${TITLES[state]}: ${visible(approval.tool)}`,
    viewer,
    live: { approvalId: approval.id },
    main: html`<div id="live" data-state="${state}" data-now="${now}">
<h1>${TITLES[state]}</h1>
${standing(parts, state)}
${warnings(survey)}
<section aria-labelledby="call">
<h2 id="call">The call</h2>
${facts(parts)}
</section>
<section aria-labelledby="arguments">
<h2 id="arguments">Arguments</h2>
${argumentsOf(approval.arguments, "The call has no arguments.")}
</section>
${further("task", "As a task", "The server may answer later; the caller asks for the result with:", approval.task)}
${further("responses", "Answers to the server’s questions", "The call brings these answers to questions of the server:", approval.inputResponses)}
${state === "pending" && decision(parts)}
<section aria-labelledby="record">
<h2 id="record">Record</h2>
${historyList(parts.history)}
${canonicalText(approval)}
</section>
</div>`,
  });
}

/** The state of an approval at a time: what has run out is expired, whether that was noted or not. */
export function stateAt({ state, expiresAt }: Approval, now: number): ApprovalState {
  return (state === "pending" || state === "approved") && expiresAt <= now ? "expired" : state;
}

const TITLES: Readonly<Record<ApprovalState, string>> = {
  pending: "Approve this call?",
  approved: "Approved",
  denied: "Denied",
  expired: "Expired",
  claimed: "Approved and sent",
};

function standing({ approval, isOwn, now }: ApprovalPageParts, state: ApprovalState): Html {
  switch (state) {
    case "pending":
      return html`<p class="state pending">The call waits for ${isOwn ? "you" : "a decision"}. It is refused in
<strong>${countdown(approval.expiresAt, now)}</strong>, at ${moment(approval.expiresAt)}, unless somebody approves it.</p>`;
    case "approved":
      return html`<p class="state approved">The call was approved and goes to the server as soon as the caller asks for it again, within
<strong>${countdown(approval.expiresAt, now)}</strong>. It goes there once.</p>`;
    case "denied":
      return html`<p class="state denied">The call was denied and did not reach the server.
${approval.reason ? html`The reason: <q>${markText(approval.reason)}</q>` : "No reason was given."}</p>`;
    case "expired":
      return html`<p class="state expired">${approval.decidedAt === null ? "Nobody decided in time." : "The call was approved, but the caller did not ask for it in time."}
It did not reach the server.</p>`;
    case "claimed":
      return html`<p class="state claimed">The call was approved, and the guard has taken the approval to let it through to the server. It is used up: the
same call needs another one.</p>`;
  }
}

function facts({ approval, isOwn }: ApprovalPageParts): Html {
  const rows: readonly (readonly [string, Content])[] = [
    ["Tool", html`<strong class="tool">${showText(approval.tool)}</strong>`],
    [
      "Server",
      html`${showText(approval.server)}<br><span class="detail">at ${showText(approval.authority)} ${showText(approval.path)}</span>`,
    ],
    [
      "Asked for by",
      html`${showText(approval.principal)}${isOwn ? " (you)" : html` <strong>(somebody else)</strong>`}<br><span class="detail">known to ${showText(approval.issuer)}</span>`,
    ],
    ["Through", approval.workload === "" ? "an unknown workload" : showText(approval.workload)],
    ["Method", showText(approval.method)],
    ["Asked at", moment(approval.openedAt)],
  ];
  return html`<dl class="facts">${rows.map(
    ([name, value]) => html`
<div><dt>${name}</dt><dd>${value}</dd></div>`,
  )}
</dl>
${!isOwn && html`<p class="notice">This is not your own call. You decide about it as a member of a group of approvers.</p>`}`;
}

function surveyCall(approval: Approval): Survey {
  const survey: Survey = { folded: 0, marked: 0, doubtful: 0 };
  const { tool, server, authority, path, principal, issuer, workload } = approval;
  for (const text of [tool, server, authority, path, principal, issuer, workload]) surveyText(text, survey);
  for (const text of [approval.arguments, approval.task, approval.inputResponses]) {
    if (text !== "") surveyValue(parseCanonical(text), survey);
  }
  return survey;
}

function warnings({ folded, marked, doubtful }: Survey): Html | false {
  if (doubtful === 0 && marked === 0 && folded === 0) return false;
  return html`<div class="notice" role="note" aria-label="About this call">
${doubtful > 0 && html`<p>${counted(doubtful, "text")} may be taken for something else. A note stands beside ${doubtful === 1 ? "it" : "each"}.</p>`}
${marked > 0 && html`<p>${counted(marked, "character")} ${marked === 1 ? "is" : "are"} invisible, or would change how the text looks. Each is shown as a mark with its number, like <span class="mark">U+202E</span>.</p>`}
${folded > 0 && html`<p>${counted(folded, "long text")} ${folded === 1 ? "is" : "are"} folded up. <button type="button" class="quiet" data-unfold hidden>Show everything</button></p>`}
</div>`;
}

function argumentsOf(text: string, absent: string): Html {
  if (text === "") return html`<p>${absent}</p>`;
  return html`<div class="value" role="group" aria-labelledby="arguments" tabindex="0">${showValue(parseCanonical(text))}</div>`;
}

function further(id: string, heading: string, sentence: string, text: string): Html | false {
  if (text === "") return false;
  const node: JsonNode = parseCanonical(text);
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${heading}</h2>
<p>${sentence}</p>
<div class="value" role="group" aria-labelledby="${id}" tabindex="0">${showValue(node)}</div>
</section>`;
}

function decision({ approval, viewer, hasPasskey, reasonCharactersMax, now }: ApprovalPageParts): Html {
  return html`<section class="decision" aria-labelledby="decision">
<h2 id="decision">Your decision</h2>
<p>You decide about exactly this call, once. Time left: <strong>${countdown(approval.expiresAt, now)}</strong></p>
<div class="choices">
<div class="choice">
${
  hasPasskey
    ? html`<button type="button" class="approve" data-approve="${approval.id}" hidden>Approve with passkey</button>
<p data-without-script>Approving needs JavaScript and a passkey, and this browser does not run the page’s script. You can still deny the call.</p>`
    : html`<p>Approving needs JavaScript and a passkey, and you have none here. <a href="/passkeys?for=${approval.id}">Add a passkey</a></p>`
}
</div>
<form class="choice" method="post" action="/a/${approval.id}/deny">
${tokenField(viewer)}
<label for="reason">Reason <span class="detail">(optional, at most ${reasonCharactersMax} characters)</span></label>
<input id="reason" name="reason" type="text" maxlength="${reasonCharactersMax}" autocomplete="off">
<button type="submit" class="deny">Deny</button>
</form>
</div>
<p class="error" role="alert" id="problem"></p>
</section>`;
}

function historyList(history: readonly HistoryEntry[]): Html {
  return html`<ol class="history">${history.map(
    (entry) => html`
<li>${moment(entry.at)} ${happened(entry)}</li>`,
  )}
</ol>`;
}

function happened({ event, actor, detail }: HistoryEntry): Html {
  switch (event) {
    case "opened":
      return html`The guard asked for an approval.`;
    case "approved":
      return html`Approved by ${markText(actor)}, with a passkey.`;
    case "denied":
      return html`Denied by ${markText(actor)}.${detail !== "" && html` The reason: <q>${markText(detail)}</q>`}`;
    case "expired":
      return html`The time was over.`;
    case "claimed":
      return html`The guard took the approval to let the call through.`;
  }
}

function canonicalText({ id, digest, arguments: text }: Approval): Html {
  return html`<details class="canonical">
<summary>Canonical text and digest</summary>
<p>The digest is what the passkey and the receipt are about:</p>
<p><code class="digest">${digest}</code></p>
${
  text === ""
    ? html`<p>The call has no arguments.</p>`
    : html`<p>The arguments as they are part of it, ${counted(countCharacters(text), "character")}:</p>
<pre role="group" aria-label="Canonical text of the arguments" tabindex="0">${markText(text)}</pre>`
}
<p><a href="/a/${id}/call.json">All fields of the call, as JSON for <code>mcp-guard approval digest</code></a></p>
</details>`;
}

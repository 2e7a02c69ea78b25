// A person's passkeys.
import type { Passkey } from "../store/store.ts";
import { type Html, html } from "./html.ts";
import { page, tokenField, type Viewer } from "./layout.ts";
import { markText } from "./marks.ts";
import { moment } from "./moment.ts";

export interface PasskeysPageParts {
  readonly viewer: Viewer;
  readonly passkeys: readonly Passkey[];
  /** Whether passkeys can be added and removed now. */
  readonly isFresh: boolean;
  /** Where a fresh sign-in begins that comes back here. */
  readonly signInAgain: string;
  /** The approval for which somebody came here, to which they want to go back. */
  readonly approvalId: string | undefined;
  readonly nameCharactersMax: number;
}

/** The whole page. */
export function passkeysPage(parts: PasskeysPageParts): Html {
  const { viewer, passkeys, approvalId } = parts;
  return page({
    title: "Passkeys",
    viewer,
    main: html`<h1>Passkeys</h1>
<p>A passkey is your signature: with it you approve a call, on this device or with a security key. It asks for your finger, your face or your
PIN each time.</p>
${approvalId !== undefined && html`<p><a href="/a/${approvalId}">Back to the call that waits</a></p>`}
<section aria-labelledby="yours">
<h2 id="yours">Yours (${passkeys.length})</h2>
${
  passkeys.length === 0
    ? html`<p>You have none yet.</p>`
    : html`<ul class="passkeys">${passkeys.map((passkey) => entry(passkey, parts))}
</ul>`
}
</section>
<section aria-labelledby="add">
<h2 id="add">Add a passkey</h2>
${addition(parts)}
</section>`,
  });
}

function entry(passkey: Passkey, { viewer, isFresh }: PasskeysPageParts): Html {
  const { credentialId, name, createdAt, lastUsedAt } = passkey;
  const used = lastUsedAt === null ? html`never used` : html`last used ${moment(lastUsedAt)}`;
  return html`
<li>
<strong>${markText(name)}</strong>
<span class="detail">added ${moment(createdAt)}, ${used}</span>
${
  isFresh &&
  html`<form method="post" action="/passkeys/remove">
${tokenField(viewer)}
<input type="hidden" name="credential" value="${credentialId}">
<button type="submit" class="quiet">Remove<span class="unseen"> ${markText(name)}</span></button>
</form>`
}
</li>`;
}

function addition({ isFresh, signInAgain, approvalId, nameCharactersMax }: PasskeysPageParts): Html {
  if (!isFresh) {
    return html`<p>Passkeys can be added and removed only within five minutes after you have proved to the sign-in service who you are.</p>
<p><a class="button" href="${signInAgain}">Sign in again</a></p>`;
  }
  return html`<form data-add-passkey data-then="${approvalId === undefined ? "/passkeys" : `/a/${approvalId}`}" hidden>
<label for="name">Name <span class="detail">(so that you know it again)</span></label>
<input id="name" name="name" type="text" maxlength="${nameCharactersMax}" autocomplete="off" value="My passkey" required>
<button type="submit">Add a passkey</button>
</form>
<p data-without-script>Adding a passkey needs JavaScript, and this browser does not run the page’s script.</p>
<p class="error" role="alert" id="problem"></p>`;
}

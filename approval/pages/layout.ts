// What every page has around its content.
import { type Content, type Html, html } from "./html.ts";
import { markText } from "./marks.ts";

/** Who is signed in, as the page shows it and as its forms need it. */
export interface Viewer {
  readonly name: string;
  readonly csrfToken: string;
}

export interface PageParts {
  /** Plain text; names that somebody else chose have been made visible before they get here. */
  readonly title: string;
  readonly main: Content;
  readonly viewer?: Viewer;
  /** Which events the page listens to: those about one approval, or all that the viewer may see. */
  readonly live?: { readonly approvalId?: string };
}

/** A whole document. */
export function page({ title, main, viewer, live }: PageParts): Html {
  const events = live && html` data-events="${live.approvalId ?? ""}"`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · MCP approvals</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/style.css">
<script type="module" src="/assets/page.js"></script>
</head>
<body${viewer && html` data-token="${viewer.csrfToken}"`}${events}>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="brand" href="/">MCP approvals</a>
${viewer && navigation(viewer)}
</header>
<main id="main" tabindex="-1">
${main}
</main>
<footer>
<p role="status" id="status"></p>
</footer>
</body>
</html>
`;
}

/** The field that every form needs. */
export function tokenField({ csrfToken }: Viewer): Html {
  return html`<input type="hidden" name="csrf" value="${csrfToken}">`;
}

function navigation(viewer: Viewer): Html {
  return html`<nav aria-label="Main">
<a href="/">Calls</a>
<a href="/passkeys">Passkeys</a>
</nav>
<form class="account" method="post" action="/sign-out">
${tokenField(viewer)}
<span class="person">${markText(viewer.name)}</span>
<button type="submit" class="quiet">Sign out</button>
</form>`;
}

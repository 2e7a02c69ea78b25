// What the provider for trying shows in a browser. Each page says that it is for trying.
import { createHash } from "node:crypto";
import type { Person } from "./people.ts";

const STYLE = `
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { margin: 0 auto; max-width: 34rem; padding: 1rem; }
.warning { border: 2px solid #b45309; border-radius: .5rem; padding: .75rem 1rem; }
button { display: block; width: 100%; margin: .75rem 0; padding: .75rem 1rem; font: inherit; text-align: left; cursor: pointer; }
`;

/** For `Content-Security-Policy`: nothing but the page's own style, and no frame around it. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; frame-ancestors 'none'`;

/** The page that asks who signs in. The form goes back to the page's own address. */
export function signInPage(people: readonly Person[]): string {
  const buttons = people.map(({ sub, name, groups }) => {
    const member = groups.length === 0 ? "" : `, member of ${groups.map(escapeHtml).join(", ")}`;
    return `<button type="submit" name="login" value="${escapeHtml(sub)}">Sign in as ${escapeHtml(name)} (${escapeHtml(sub)}${member})</button>`;
  });
  return page("Who are you?", `<form method="post">\n${buttons.join("\n")}\n</form>`);
}

/** The page that says what went wrong. */
export function problemPage(title: string, text: string): string {
  return page(title, `<p>${escapeHtml(text)}</p>`);
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} - provider for trying</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="warning"><strong>This sign-in is for trying only.</strong> It asks for no password: whoever reaches it is whoever they say.</p>
<h1>${escapeHtml(title)}</h1>
${content}
</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

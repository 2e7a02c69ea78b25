// Pages that say one thing: why something did not work, and that somebody has signed out.
import { type Html, html } from "./html.ts";
import { page } from "./layout.ts";

/** A page with a heading and a sentence. */
export function messagePage(title: string, text: string): Html {
  return page({
    title,
    main: html`<h1>${title}</h1>
<p>${text}</p>
<p><a href="/">Go to your calls</a></p>`,
  });
}

/** The page after a sign-out. */
export function signedOutPage(): Html {
  return page({
    title: "Signed out",
    main: html`<h1>You are signed out</h1>
<p>The sign-in service may still know you. Whoever uses this browser after you may be signed in there without being asked.</p>
<p><a href="/">Sign in again</a></p>`,
  });
}

// Times on a page: as text that is right without a script, and as data for the script that shows them in the reader's time zone.
import { type Html, html } from "./html.ts";

/** A point in time, in UTC. */
export function moment(at: number): Html {
  const iso = new Date(at).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`;
}

/** How long it is from `now` until `until`, in words. */
function timeLeft(until: number, now: number): string {
  const seconds = Math.max(0, Math.ceil((until - now) / 1_000));
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds} s`;
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes} min ${seconds % 60} s`;
}

/** A countdown. The script moves it on each second; a screen reader hears of it where the page says so, not here. */
export function countdown(until: number, now: number): Html {
  return html`<span class="countdown" data-until="${until}">${timeLeft(until, now)}</span>`;
}

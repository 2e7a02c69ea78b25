// What the pages do beyond what a browser does by itself: passkeys, countdowns, live updates. Everything is on the page without it.
import { startAuthentication, startRegistration } from "/assets/webauthn/index.js";

const SECOND_MS = 1000;
/** How long the page waits before it listens again. */
const RETRY_MS = 3000;
/** When a screen reader is told how much time is left, in seconds. */
const SPOKEN_SECONDS = [60, 30, 10];

/** Where a screen reader hears what happens. */
const status = document.getElementById("status");
/** How far the server's clock is ahead of this one: the time that is left is the server's. */
let ahead = 0;
let isBusy = false;

/** Sends JSON with the session's token, and gives back the answer or throws an error with the server's own sentence. */
async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json",
      "x-csrf-token": document.body.dataset.token ?? "",
    },
    body: JSON.stringify(body),
    // A proxy that has forgotten who we are would send a page instead.
    redirect: "error",
  });
  const answer = await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer;
  throw new Error(answer?.message ?? "The service does not answer. Try again in a minute.");
}

/** Runs what a click began, once at a time, and says on the page what went wrong. */
async function attempt(button, working, action) {
  if (isBusy) return;
  isBusy = true;
  // Not `disabled`: the focus would be lost, and with it the place of whoever uses a keyboard.
  button.setAttribute("aria-disabled", "true");
  say("");
  if (status) status.textContent = working;
  try {
    await action();
  } catch (error) {
    say(sentence(error));
  } finally {
    isBusy = false;
    button.removeAttribute("aria-disabled");
    if (status) status.textContent = "";
  }
}

/** A sentence for an error of ours, of the network, or of WebAuthn, whose own are for programmers. */
function sentence(error) {
  if (error.name === "NotAllowedError" || error.name === "AbortError") {
    return "The passkey was not used: it was cancelled, took too long, or is not on this device. Nothing was approved.";
  }
  if (error.name === "InvalidStateError") return "This device has a passkey here already.";
  if (error instanceof TypeError) return "The service cannot be reached. Nothing was approved.";
  return error.message;
}

function say(text) {
  const problem = document.getElementById("problem");
  if (problem) problem.textContent = text;
}

async function approve(id) {
  const options = await post(`/a/${id}/challenge`, {});
  const assertion = await startAuthentication({ optionsJSON: options });
  await post(`/a/${id}/approve`, assertion);
  await refresh();
}

async function addPasskey(form) {
  const options = await post("/passkeys/options", {});
  const registration = await startRegistration({ optionsJSON: options });
  await post("/passkeys/verify", { name: form.elements.namedItem("name").value, registration });
  location.assign(form.dataset.then);
}

let isRefreshDue = false;

/**
 * Loads the page again in the background and shows what has changed. The browser parses it as a document: no markup is made from text. A service
 * that cannot answer now is asked again later, and the page stays: it holds what somebody is reading or writing.
 */
function refresh() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.setRequestHeader("accept", "text/html");
    request.onloadend = async () => {
      const fresh = request.status === 200 ? request.response?.getElementById("live") : undefined;
      const old = document.getElementById("live");
      if (fresh && old) show(old, fresh, request.response.title);
      else if (request.status >= 500 || (request.status === 0 && !(await isSentElsewhere()))) refreshLater();
      else location.reload();
      resolve();
    };
    request.send();
  });
}

function refreshLater() {
  if (isRefreshDue) return;
  isRefreshDue = true;
  setTimeout(() => {
    isRefreshDue = false;
    if (isBusy) refreshLater();
    else void refresh();
  }, RETRY_MS);
}

/** Whether the page is not ours to see any more. It leads to the sign-in provider then, where a script cannot follow: it sees no status. */
async function isSentElsewhere() {
  const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => undefined);
  return answer !== undefined && !answer.ok && answer.status < 500;
}

function show(old, fresh, title) {
  // The same state of one call: nothing has changed, and a reason that somebody is writing stays.
  if (old.dataset.state !== undefined && old.dataset.state === fresh.dataset.state) return;
  const hadFocus = old.contains(document.activeElement);
  old.replaceWith(fresh);
  document.title = title;
  prepare(fresh);
  const heading = fresh.querySelector("h1");
  if (status)
    status.textContent = fresh.dataset.state === undefined ? "The list has changed." : (heading?.textContent ?? "");
  if (hadFocus && heading) {
    heading.tabIndex = -1;
    heading.focus();
  }
}

/** Makes a piece of the page work: what needs a script appears, times are shown as the reader's own clock has them. */
function prepare(root) {
  const now = root.querySelector("[data-now]")?.dataset.now ?? root.dataset?.now;
  if (now !== undefined) ahead = Number(now) - Date.now();
  for (const element of root.querySelectorAll("[data-without-script]")) element.remove();
  for (const element of root.querySelectorAll("[data-approve], [data-add-passkey], [data-unfold]"))
    element.hidden = false;
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = format.format(new Date(time.dateTime));
}

function left(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds} s`;
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes} min ${seconds % 60} s`;
}

let spoken = 0;
let hasRunOut = false;

/** Moves the countdowns on. When one has run out, the page is asked for again: it knows what that means. */
function tick() {
  let soonest = Number.POSITIVE_INFINITY;
  for (const element of document.querySelectorAll("[data-until]")) {
    const seconds = Math.ceil((Number(element.dataset.until) - Date.now() - ahead) / SECOND_MS);
    element.textContent = left(Math.max(0, seconds));
    soonest = Math.min(soonest, seconds);
  }
  if (soonest > 0) hasRunOut = false;
  else if (!hasRunOut && !isBusy) {
    hasRunOut = true;
    void refresh();
  }
  // One approval: spoken at a few moments, not each second.
  if (document.body.dataset.events !== "" && SPOKEN_SECONDS.includes(soonest) && spoken !== soonest) {
    spoken = soonest;
    if (status && !isBusy) status.textContent = `${soonest} seconds left`;
  }
}

function listen(approvalId) {
  const events = new EventSource("/events");
  events.addEventListener("open", () => {
    // What happened while nobody listened: since the page was made, or since the last connection was lost.
    if (!isBusy) void refresh();
  });
  events.addEventListener("error", () => {
    // A lost connection comes back by itself. An answer that is no stream, as of a replica that is ending, closes it for good.
    if (events.readyState === EventSource.CLOSED) setTimeout(() => listen(approvalId), RETRY_MS);
  });
  events.addEventListener("approval", ({ data }) => {
    const { id } = JSON.parse(data);
    if ((approvalId === "" || approvalId === id) && !isBusy) void refresh();
  });
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (!button) return;
  if (button.dataset.approve !== undefined) {
    void attempt(button, "Waiting for your passkey", () => approve(button.dataset.approve));
  }
  if (button.dataset.unfold !== undefined) {
    for (const details of document.querySelectorAll("details.folded")) details.open = true;
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset.addPasskey === undefined) return;
  event.preventDefault();
  void attempt(form.querySelector("button"), "Waiting for your passkey", () => addPasskey(form));
});

prepare(document);
tick();
setInterval(tick, SECOND_MS);
if (document.body.dataset.events !== undefined) listen(document.body.dataset.events);

// Passkeys: registration and the signature of an approval, with an authenticator that really signs. Goal: nothing counts as an approval but this person's own
// passkey, with the person verified, over the challenge of this call, once.
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { approvalChallenge } from "../../src/approval/challenge.ts";
import { type Evidence, isEvidenceFor } from "../../src/approval/evidence.ts";
import { Authenticator, type Deviations } from "./authenticator.ts";
import { type PageRig, PUBLIC_URL, signedIn, startPages, type Visitor } from "./visitor.ts";

const FIVE_MINUTES_MS = 5 * 60_000;

let rig: PageRig;

beforeAll(async () => {
  rig = await startPages();
});

afterAll(() => rig.stop());

beforeEach(() => rig.setClock());

// Nobody may have very many.
afterEach(async () => {
  for (const subject of ["alice", "bob", "carol"]) {
    const user = { issuer: rig.provider.issuer, subject };
    for (const { credentialId } of await rig.store.passkeysOf(user)) await rig.store.removePasskey(user, credentialId);
  }
});

/** Registers a passkey as the page's script does; gives the status and the error. */
async function register(visitor: Visitor, device: Authenticator, deviations: Deviations = {}) {
  const options = await visitor.json("/passkeys/options", {});
  if (options.statusCode !== 200) return { status: options.statusCode, error: options.json<{ error: string }>().error };
  const registration = device.register(options.json(), deviations);
  const verified = await visitor.json("/passkeys/verify", { name: "Laptop", registration });
  return { status: verified.statusCode, error: verified.json<{ error?: string }>().error };
}

/** Somebody who is signed in and has a passkey. */
async function withPasskey(login: string): Promise<{ visitor: Visitor; device: Authenticator }> {
  const visitor = await signedIn(rig, login);
  const device = new Authenticator(PUBLIC_URL);
  expect(await register(visitor, device)).toEqual({ status: 200, error: undefined });
  return { visitor, device };
}

async function challengeFor(
  visitor: Visitor,
  id: string,
): Promise<{ challenge: string; allowCredentials: { id: string }[] }> {
  const response = await visitor.json(`/a/${id}/challenge`, {});
  expect(response.statusCode).toBe(200);
  return response.json();
}

async function send(visitor: Visitor, id: string, assertion: unknown) {
  const response = await visitor.json(`/a/${id}/approve`, assertion);
  return { status: response.statusCode, error: response.json<{ error?: string }>().error };
}

async function stateOf(id: string): Promise<string | undefined> {
  return (await rig.store.approval(id))?.state;
}

describe("a registration", () => {
  test("asks for a person who is verified, and does not take the same device twice", async () => {
    const { visitor, device } = await withPasskey("alice");
    const options = (await visitor.json("/passkeys/options", {})).json<{
      rp: { id: string };
      authenticatorSelection: unknown;
      excludeCredentials: { id: string }[];
      user: { id: string; name: string };
    }>();
    expect(options.rp.id).toBe("approve.example.com");
    expect(options.authenticatorSelection).toMatchObject({ residentKey: "preferred", userVerification: "required" });
    expect(options.excludeCredentials.map(({ id }) => id)).toContain(device.id.toString("base64url"));
    // Nothing personal in the handle that authenticators keep.
    expect(Buffer.from(options.user.id, "base64url").toString("latin1")).not.toMatch(/alice/i);
  });

  test("needs a sign-in of a moment ago", async () => {
    const visitor = await signedIn(rig, "alice");
    const device = new Authenticator(PUBLIC_URL);
    const options = await visitor.json("/passkeys/options", {});
    rig.wait(FIVE_MINUTES_MS);
    expect(await register(visitor, new Authenticator(PUBLIC_URL))).toEqual({ status: 403, error: "not_fresh" });
    // Not even for a question that was asked in time.
    const late = await visitor.json("/passkeys/verify", {
      name: "Late",
      registration: device.register(options.json()),
    });
    expect([late.statusCode, late.json()]).toMatchObject([403, { error: "not_fresh" }]);
    const removal = await visitor.form("/passkeys/remove", { credential: "AAAA" });
    expect(removal.statusCode).toBe(403);
    expect((await visitor.get("/passkeys")).body).toContain("Sign in again");
    rig.setClock();
    await visitor.signIn("alice", { path: "/sign-in?return=%2Fpasskeys&fresh=1" });
    expect(await register(visitor, device)).toEqual({ status: 200, error: undefined });
  });

  test.each<[string, Deviations]>([
    ["of a person who was not verified", { userVerified: false }],
    ["of nobody who was there", { userPresent: false }],
    ["at another origin", { origin: "https://approve.example.com.evil.example", rpId: "approve.example.com" }],
    ["for another relying party", { rpId: "evil.example" }],
    ["in a frame of another site", { clientData: { crossOrigin: true } }],
    ["in a frame of a site that is named", { clientData: { crossOrigin: true, topOrigin: "https://evil.example" } }],
    ["that is an assertion", { clientData: { type: "webauthn.get" } }],
    ["of another challenge", { clientData: { challenge: Buffer.alloc(32).toString("base64url") } }],
  ])("is refused %s", async (_what, deviations) => {
    const visitor = await signedIn(rig, "alice");
    expect(await register(visitor, new Authenticator(PUBLIC_URL), deviations)).toEqual({
      status: 400,
      error: "registration",
    });
  });

  test("is refused with somebody else's challenge, twice, and late", async () => {
    const [alice, bob] = [await signedIn(rig, "alice"), await signedIn(rig, "bob")];
    const verify = async (visitor: Visitor, options: { challenge: string }) => {
      const registration = new Authenticator(PUBLIC_URL).register(options);
      return (await visitor.json("/passkeys/verify", { name: "x", registration })).statusCode;
    };
    const ofBob = (await bob.json("/passkeys/options", {})).json<{ challenge: string }>();
    expect(await verify(alice, ofBob)).toBe(400);
    const own = (await alice.json("/passkeys/options", {})).json<{ challenge: string }>();
    expect(await verify(alice, own)).toBe(200);
    expect(await verify(alice, own)).toBe(400);
  });

  test("of a device that somebody has registered is refused to everybody else", async () => {
    const { device } = await withPasskey("alice");
    expect(await register(await signedIn(rig, "bob"), device)).toEqual({ status: 400, error: "registration" });
  });

  test("is refused when the person has very many", async () => {
    const visitor = await signedIn(rig, "alice");
    const late = (await visitor.json("/passkeys/options", {})).json<{ challenge: string }>();
    for (let count = 0; count < 20; count++) {
      expect((await register(visitor, new Authenticator(PUBLIC_URL))).status).toBe(200);
    }
    expect(await register(visitor, new Authenticator(PUBLIC_URL))).toEqual({ status: 409, error: "passkey_limit" });
    const registration = new Authenticator(PUBLIC_URL).register(late);
    expect((await visitor.json("/passkeys/verify", { name: "x", registration })).statusCode).toBe(409);
  });

  test("with the challenge of an approval is refused", async () => {
    const { visitor } = await withPasskey("alice");
    const options = await challengeFor(visitor, await rig.open());
    const registration = new Authenticator(PUBLIC_URL).register(options);
    const response = await visitor.json("/passkeys/verify", { name: "x", registration });
    expect(response.statusCode).toBe(400);
  });
});

describe("a removal", () => {
  test("takes one's own passkey away, and nobody else's", async () => {
    const { visitor, device } = await withPasskey("alice");
    const credential = device.id.toString("base64url");
    await (await signedIn(rig, "bob")).form("/passkeys/remove", { credential });
    expect(await rig.store.passkey(credential)).toBeDefined();
    expect((await visitor.form("/passkeys/remove", { credential })).statusCode).toBe(303);
    expect(await rig.store.passkey(credential)).toBeUndefined();
    const id = await rig.open();
    const other = new Authenticator(PUBLIC_URL);
    await register(visitor, other);
    const options = await challengeFor(visitor, id);
    expect(await send(visitor, id, device.assert(options))).toEqual({ status: 403, error: "assertion" });
    expect(await stateOf(id)).toBe("pending");
  });
});

describe("the challenge of an approval", () => {
  test("is made of the call's digest, the id, a nonce and the time, as it is written down", async () => {
    const fields = {
      digest: "ab".repeat(32),
      id: "A".repeat(22),
      nonce: "AAECAwQFBgcICQoLDA0ODw",
      expires: 1_800_000_000,
    };
    const nonce = Buffer.from(fields.nonce, "base64url");
    const hash = createHash("sha256");
    for (const field of ["mcp-guard-approval-challenge-v1", fields.digest, fields.id, nonce, "1800000000"]) {
      const bytes = Buffer.from(field);
      hash.update(Buffer.from([0, 0, 0, bytes.length])).update(bytes);
    }
    expect(approvalChallenge(fields)).toBe(hash.digest("base64url"));
  });

  test("is another one for each question", async () => {
    const { visitor, device } = await withPasskey("alice");
    const id = await rig.open();
    const [first, second] = [await challengeFor(visitor, id), await challengeFor(visitor, id)];
    expect(first.challenge).not.toBe(second.challenge);
    expect(first.allowCredentials.map((credential) => credential.id)).toContain(device.id.toString("base64url"));
  });

  test("is not given to somebody without a passkey, for a call of somebody else, or for one that is over", async () => {
    const id = await rig.open();
    const ask = async (login: string, approval: string) =>
      (await (await signedIn(rig, login)).json(`/a/${approval}/challenge`, {})).json();
    const ofBob = await rig.open({ principal: "bob" });
    expect(await ask("bob", ofBob)).toMatchObject({ error: "no_passkey" });
    expect(await ask("bob", id)).toMatchObject({ error: "not_found" });
    expect(await ask("bob", "A".repeat(22))).toMatchObject({ error: "not_found" });
    rig.wait(300_000);
    expect(await ask("bob", ofBob)).toMatchObject({ error: "not_pending" });
  });
});

describe("an approval", () => {
  let visitor: Visitor;
  let device: Authenticator;
  let id: string;

  beforeEach(async () => {
    ({ visitor, device } = await withPasskey("alice"));
    id = await rig.open();
  });

  test("is given by the person's passkey, and what it signed is kept for an auditor", async () => {
    const options = await challengeFor(visitor, id);
    expect(await send(visitor, id, device.assert(options))).toEqual({ status: 200, error: undefined });
    const approval = await rig.store.approval(id);
    expect(approval).toMatchObject({ state: "approved", approver: `${rig.provider.issuer}#alice` });
    const evidence = JSON.parse(approval?.assertion ?? "") as Evidence;
    expect(evidence).toMatchObject({
      v: 1,
      standing: "principal",
      user: { subject: "alice" },
      rpId: "approve.example.com",
    });
    const { digest } = approval ?? { digest: "" };
    expect(await isEvidenceFor(evidence, { digest, id })).toBe(true);
    const other = (await rig.store.approval(await rig.open()))!;
    const { nonce, expires } = evidence.challenge;
    const flipped = evidence.signature.replace(/.{4}$/, "AAAA");
    expect(await isEvidenceFor(evidence, { digest, id: other.id })).toBe(false);
    expect(await isEvidenceFor(evidence, { digest: other.digest, id })).toBe(false);
    expect(await isEvidenceFor({ ...evidence, challenge: { nonce, expires: expires + 1 } }, { digest, id })).toBe(
      false,
    );
    expect(await isEvidenceFor({ ...evidence, signature: flipped }, { digest, id })).toBe(false);
    expect(await isEvidenceFor({ ...evidence, origin: "https://evil.example" }, { digest, id })).toBe(false);
    expect(await isEvidenceFor({ ...evidence, rpId: "evil.example" }, { digest, id })).toBe(false);
    // The same key over the same challenge, without the person.
    const challenge = approvalChallenge({ digest, id, nonce, expires });
    const unverified = device.assert({ challenge }, { userVerified: false }).response;
    expect(await isEvidenceFor({ ...evidence, ...unverified }, { digest, id })).toBe(false);
    const verified = device.assert({ challenge }).response;
    expect(await isEvidenceFor({ ...evidence, ...verified }, { digest, id })).toBe(true);
  });

  test.each<[string, Deviations, string]>([
    ["when the person was not verified", { userVerified: false }, "assertion"],
    ["when nobody was there", { userPresent: false }, "assertion"],
    ["by a signature that is wrong", { spoil: true }, "assertion"],
    ["at another origin", { origin: "https://evil.example", rpId: "approve.example.com" }, "assertion"],
    ["for another relying party", { rpId: "evil.example" }, "assertion"],
    ["in a frame of another site", { clientData: { crossOrigin: true } }, "challenge"],
    ["in a frame of a site that is named", { clientData: { topOrigin: "https://evil.example" } }, "challenge"],
    ["by what was signed for a registration", { clientData: { type: "webauthn.create" } }, "assertion"],
    ["by an authenticator that names somebody else", { userHandle: "AAAA" }, "assertion"],
    ["for a challenge of nobody", { clientData: { challenge: Buffer.alloc(32).toString("base64url") } }, "challenge"],
    ["without a challenge", { clientData: { challenge: null } }, "challenge"],
  ])("is not given %s", async (_what, deviations, error) => {
    const options = await challengeFor(visitor, id);
    expect((await send(visitor, id, device.assert(options, deviations))).error).toBe(error);
    expect(await stateOf(id)).toBe("pending");
  });

  test("is given by an authenticator that names the person", async () => {
    const { user } = (await visitor.json("/passkeys/options", {})).json<{ user: { id: string } }>();
    const options = await challengeFor(visitor, id);
    expect((await send(visitor, id, device.assert(options, { userHandle: user.id }))).status).toBe(200);
  });

  test("is for one call: a signature for another one is worth nothing", async () => {
    const other = await rig.open();
    const assertion = device.assert(await challengeFor(visitor, other));
    expect(await send(visitor, id, assertion)).toEqual({ status: 409, error: "challenge" });
    expect(await stateOf(id)).toBe("pending");
    // And is used up, even for its own.
    expect(await send(visitor, other, assertion)).toEqual({ status: 409, error: "challenge" });
    expect(await stateOf(other)).toBe("pending");
  });

  test("is given once: the same signature again changes nothing, two at once make one", async () => {
    const assertion = device.assert(await challengeFor(visitor, id));
    const approved = await rig.counted("decisions", "approved");
    const outcomes = await Promise.all([send(visitor, id, assertion), send(visitor, id, assertion)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(await send(visitor, id, assertion)).toEqual({ status: 409, error: "not_pending" });
    expect(await rig.counted("decisions", "approved")).toBe(approved + 1);
    const events = (await rig.store.historyOf(id)).map(({ event }) => event);
    expect(events).toEqual(["opened", "approved"]);
  });

  test("with a challenge that failed once has to be asked for again", async () => {
    const options = await challengeFor(visitor, id);
    expect((await send(visitor, id, device.assert(options, { spoil: true }))).status).toBe(403);
    expect(await send(visitor, id, device.assert(options))).toEqual({ status: 409, error: "challenge" });
    expect((await send(visitor, id, device.assert(await challengeFor(visitor, id)))).status).toBe(200);
  });

  test("is not given by somebody else's passkey, nor for somebody else", async () => {
    const bob = await withPasskey("bob");
    const options = await challengeFor(visitor, id);
    expect(await send(visitor, id, bob.device.assert(options))).toEqual({ status: 403, error: "assertion" });
    const again = await challengeFor(visitor, id);
    expect(await send(bob.visitor, id, bob.device.assert(again))).toEqual({ status: 404, error: "not_found" });
    // A group's approver sees the call, but this question was not asked of them.
    const carol = await withPasskey("carol");
    expect(await send(carol.visitor, id, carol.device.assert(again))).toEqual({ status: 409, error: "challenge" });
    expect(await stateOf(id)).toBe("pending");
  });

  test("is given by a member of a group of approvers, and says so", async () => {
    const carol = await withPasskey("carol");
    const assertion = carol.device.assert(await challengeFor(carol.visitor, id));
    expect((await send(carol.visitor, id, assertion)).status).toBe(200);
    const approval = await rig.store.approval(id);
    expect(JSON.parse(approval?.assertion ?? "")).toMatchObject({ standing: "group", user: { subject: "carol" } });
  });

  test("is not given by a device whose counter has not grown", async () => {
    device.counter = 7;
    expect((await send(visitor, id, device.assert(await challengeFor(visitor, id)))).status).toBe(200);
    for (const counter of [7, 6, 0]) {
      const next = await rig.open();
      const assertion = device.assert(await challengeFor(visitor, next), { counter });
      expect(await send(visitor, next, assertion)).toEqual({ status: 403, error: "assertion" });
      expect(await stateOf(next)).toBe("pending");
    }
    const next = await rig.open();
    const assertion = device.assert(await challengeFor(visitor, next), { counter: 8 });
    expect((await send(visitor, next, assertion)).status).toBe(200);
  });

  test("is not given with a challenge that is too old, nor when the call's time is over", async () => {
    const options = await challengeFor(visitor, id);
    rig.wait(121_000);
    expect(await send(visitor, id, device.assert(options))).toEqual({ status: 409, error: "challenge" });
    const fresh = await challengeFor(visitor, id);
    rig.wait(180_000);
    expect(await send(visitor, id, device.assert(fresh))).toEqual({ status: 409, error: "not_pending" });
    expect((await rig.store.approval(id))?.approver).toBeNull();
  });

  test("is not given after a denial", async () => {
    const options = await challengeFor(visitor, id);
    expect((await visitor.form(`/a/${id}/deny`, { reason: "no" })).statusCode).toBe(303);
    expect(await send(visitor, id, device.assert(options))).toEqual({ status: 409, error: "not_pending" });
    expect(await stateOf(id)).toBe("denied");
  });

  test("is not given with the challenge of a registration", async () => {
    const options = (await visitor.json("/passkeys/options", {})).json<{ challenge: string }>();
    expect(await send(visitor, id, device.assert(options))).toEqual({ status: 409, error: "challenge" });
  });

  test.each([
    ["nothing", {}],
    ["a list", []],
    ["texts that are too long", { id: "A".repeat(9_000), rawId: "A", type: "public-key", response: {} }],
    ["another kind of credential", { id: "A", rawId: "A", type: "password", response: {} }],
    [
      "bytes in another alphabet",
      {
        id: "a+b/",
        rawId: "a+b/",
        type: "public-key",
        response: { authenticatorData: "A", clientDataJSON: "A", signature: "A" },
      },
    ],
  ])("is not given for %s", async (_what, body) => {
    expect(await send(visitor, id, body)).toEqual({ status: 400, error: "malformed" });
  });
});

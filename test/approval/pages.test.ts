// The pages of calls. Goal: whoever may decide sees all of a call and where it stands, nobody else sees that it exists, and looking changes nothing.
import Database from "libsql";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { canonicalise } from "../../src/approval/canonical.ts";
import { callDigest } from "../../src/approval/digest.ts";
import { sqliteFiles } from "./databases.ts";
import { type PageRig, signedIn, startPages, type Visitor } from "./visitor.ts";

let rig: PageRig;
let alice: Visitor;
let carol: Visitor;

beforeAll(async () => {
  rig = await startPages();
  [alice, carol] = [await signedIn(rig, "alice"), await signedIn(rig, "carol")];
});

afterAll(() => rig.stop());

beforeEach(() => rig.setClock());

/** The text of a page's content, without markup. */
function textOf({ body }: { body: string }): string {
  return (/<main.*<\/main>/s.exec(body)?.[0] ?? "").replaceAll(/<[^>]+>/g, "").replaceAll(/\s+/g, " ");
}

/** Has a call approved or denied, as the store would be told after the checks of the routes. */
async function decide(id: string, verdict: "approved" | "denied", reason = ""): Promise<void> {
  const decision = { id, approver: "https://id.example.com#alice" };
  await rig.store.decide(
    verdict === "approved" ? { ...decision, verdict, assertion: "{}" } : { ...decision, verdict, reason },
  );
}

describe("the page of a call", () => {
  test("has everything that the call is about", async () => {
    const id = await rig.open({
      tool: "delete_branch",
      server: "forge",
      authority: "forge.example:8443",
      path: "/rpc?team=a",
      workload: "spiffe://mesh/agent",
      arguments: canonicalise('{"branch": "main", "force": true, "depth": 1.0, "note": "a\\u202eb"}'),
      task: '{"ttl":60000}',
      inputResponses: '{"question":{"action":"accept"}}',
    });
    const page = await alice.get(`/a/${id}`);
    expect(page.statusCode).toBe(200);
    const text = textOf(page);
    for (const part of [
      ...["Approve this call?", "delete_branch", "forge", "forge.example:8443", "/rpc?team=a", "alice (you)"],
      ...["https://issuer.example", "spiffe://mesh/agent", "tools/call", "branch: main", "force: true", "depth: 1.0"],
      ...["note: aU+202Eb", "1 character is invisible", "ttl: 60000", "action: accept", "5 min 0 s"],
      ...[(await rig.store.approval(id))?.digest ?? "?", "Deny", "Approving needs JavaScript and a passkey"],
    ]) {
      expect(text).toContain(part);
    }
  });

  test("is markup of ours alone, whatever the call has", async () => {
    const nasty = '"><script src=//evil.example></script><img onerror=x>';
    const id = await rig.open({
      tool: nasty,
      server: nasty,
      workload: nasty,
      arguments: JSON.stringify({ [nasty]: nasty }),
    });
    await alice.form(`/a/${id}/deny`, { reason: nasty });
    for (const path of [`/a/${id}`, "/"]) {
      const { body } = await alice.get(path);
      expect(body).not.toContain("<img");
      expect(body.match(/<script/g)).toHaveLength(1);
      expect(body).toContain("&lt;script src=//evil.example&gt;");
    }
  });

  test("does not exist for anybody whose call it is not", async () => {
    const bob = await signedIn(rig, "bob");
    const id = await rig.open();
    const absent = await bob.get(`/a/${"A".repeat(22)}`);
    for (const path of [`/a/${id}`, `/a/${id}/call.json`]) {
      const page = await bob.get(path);
      expect(page.statusCode).toBe(404);
      // Not even by a difference between the two answers.
      expect(page.body).toBe(absent.body);
    }
    expect((await bob.form(`/a/${id}/deny`)).statusCode).toBe(404);
    expect((await bob.get("/")).body).not.toContain(id);
    expect(await rig.store.approval(id)).toMatchObject({ state: "pending" });
  });

  test("says to a group's approver that the call is somebody else's", async () => {
    const id = await rig.open();
    const text = textOf(await carol.get(`/a/${id}`));
    expect(text).toContain("This is not your own call");
    expect(text).toContain("(somebody else)");
    expect(textOf(await alice.get(`/a/${id}`))).not.toContain("not your own call");
  });

  test("says what became of the call, and asks for no decision then", async () => {
    const [approved, denied, expired, unclaimed, claimed] = [
      await rig.open(),
      await rig.open(),
      await rig.open(),
      await rig.open(),
      await rig.open(),
    ];
    for (const id of [approved, unclaimed, claimed]) await decide(id, "approved");
    await decide(denied, "denied", "wrong branch");
    const { digest = "" } = (await rig.store.approval(claimed)) ?? {};
    await rig.store.claim({ id: claimed, digest, nonce: "n".repeat(22) }, "receipt");
    const pageOf = async (id: string) => textOf(await alice.get(`/a/${id}`));
    const pages = [await pageOf(approved), await pageOf(denied), await pageOf(claimed)];
    expect(pages[0]).toContain("The call was approved and goes to the server as soon as");
    expect(pages[1]).toContain("did not reach the server. The reason: wrong branch");
    expect(pages[2]).toContain("the guard has taken the approval");
    rig.wait(300_000);
    pages.push(await pageOf(expired), await pageOf(unclaimed));
    expect(pages[3]).toContain("Nobody decided in time. It did not reach the server.");
    expect(pages[4]).toContain("the caller did not ask for it in time");
    for (const page of pages) expect(page).not.toContain("Your decision");
    for (const page of pages) expect(page).toContain("The guard asked for an approval.");
    expect(pages[2]).toMatch(/Approved by https:\/\/id\.example\.com#alice, with a passkey\..*took the approval/);
  });

  test("gives the call's fields as JSON from which the digest can be computed again", async () => {
    const id = await rig.open({ arguments: '{"n":1.0,"ｓ":"\u2028"}', inputResponses: '{"q":1e2}' });
    const { body, headers } = await alice.get(`/a/${id}/call.json`);
    expect(headers["content-type"]).toBe("application/json; charset=utf-8");
    const fields = JSON.parse(body) as Record<string, string>;
    const spelled = (name: string) => canonicalise(new RegExp(`"${name}":(\\{[^}]*\\})`).exec(body)?.[1] ?? "");
    const { server = "", authority = "", path = "", issuer = "", principal = "", method = "", tool = "" } = fields;
    const digest = callDigest({
      ...{ server, authority, path, issuer, principal, method, tool },
      arguments: spelled("arguments"),
      task: "",
      inputResponses: spelled("input_responses"),
    });
    expect(digest).toBe((await rig.store.approval(id))?.digest);
  });

  test("is not shown, and cannot be decided, when the record is not the call that was asked for", async () => {
    const databases = sqliteFiles();
    await databases.start();
    const place = await databases.fresh();
    const other = await startPages({ database: place });
    const id = await other.open({ arguments: '{"branch":"main"}' });
    const visitor = await signedIn(other, "alice");
    expect((await visitor.get(`/a/${id}`)).statusCode).toBe(200);
    await databases.attack(place, `UPDATE approvals SET arguments = '{"branch":"test"}'`);
    const page = await visitor.get(`/a/${id}`);
    expect(page.statusCode).toBe(500);
    expect(page.body).not.toContain("branch");
    expect((await visitor.json(`/a/${id}/challenge`, {})).statusCode).toBe(500);
    expect((await visitor.json(`/a/${id}/approve`, ASSERTION)).statusCode).toBe(500);
    expect(await other.store.approval(id)).toMatchObject({ state: "pending" });
    await other.stop();
    await databases.stop();
  });
});

const ASSERTION = {
  ...{ id: "AAAA", rawId: "AAAA", type: "public-key" },
  response: { authenticatorData: "AAAA", clientDataJSON: "AAAA", signature: "AAAA" },
};

describe("a denial", () => {
  test("is recorded with who and why, and leads back to the page", async () => {
    const id = await rig.open();
    const { statusCode, headers } = await alice.form(`/a/${id}/deny`, { reason: "  not today  " });
    expect([statusCode, headers.location]).toEqual([303, `/a/${id}`]);
    const approver = `${rig.provider.issuer}#alice`;
    expect(await rig.store.approval(id)).toMatchObject({
      state: "denied",
      approver,
      reason: "not today",
      assertion: null,
    });
  });

  test("comes too late once the call is decided or over", async () => {
    const [decided, over] = [await rig.open(), await rig.open()];
    await decide(decided, "approved");
    expect((await alice.form(`/a/${decided}/deny`)).statusCode).toBe(409);
    expect(await rig.store.approval(decided)).toMatchObject({ state: "approved" });
    rig.wait(300_000);
    expect((await alice.form(`/a/${over}/deny`)).statusCode).toBe(409);
  });

  test.each([
    ["a reason that is too long", { reason: "x".repeat(301) }],
    ["more than a reason", { reason: "x", approver: "bob" }],
  ])("is not understood with %s", async (_what, fields) => {
    const id = await rig.open();
    expect((await alice.form(`/a/${id}/deny`, fields as Record<string, string>)).statusCode).toBe(400);
    expect(await rig.store.approval(id)).toMatchObject({ state: "pending" });
  });
});

describe("the list", () => {
  test("has what waits first, then what was, and only what the person may see", async () => {
    const other = await startPages();
    const visitor = await signedIn(other, "alice");
    expect(textOf(await visitor.get("/"))).toContain("No call waits for you.");
    const first = await other.open({ tool: "delete_first" });
    await other.store.decide({ id: first, verdict: "denied", approver: "x#y", reason: "" });
    await other.open({ tool: "delete_second" });
    await other.open({ tool: "delete_hidden", principal: "bob" });
    await other.open({ tool: "delete_hidden", issuer: "https://other.example" });
    const text = textOf(await visitor.get("/"));
    expect(text).toMatch(/Waiting for a decision \(1\) delete_second .* Earlier delete_first .* Denied/);
    expect(text).not.toContain("delete_hidden");
    const all = textOf(await (await signedIn(other, "carol")).get("/"));
    expect(all).toContain("Waiting for a decision (3)");
    expect(all).toContain("you see the calls of everybody");
    await other.stop();
  });

  test("goes on to older calls, page by page, without losing one", async () => {
    const other = await startPages();
    const visitor = await signedIn(other, "alice");
    const ids = new Set<string>();
    for (let count = 0; count < 60; count++) {
      const id = await other.open();
      ids.add(id);
      await other.store.decide({ id, verdict: "denied", approver: "x#y", reason: "" });
    }
    let path: string | undefined = "/";
    let pages = 0;
    while (path !== undefined) {
      const { body } = await visitor.get(path);
      for (const [, id = ""] of body.matchAll(/href="\/a\/([\w-]{22})"/g)) expect(ids.delete(id), id).toBe(true);
      path = /href="(\/\?after=[^"]+)"/.exec(body)?.[1];
      pages++;
    }
    expect([pages, ids.size]).toEqual([2, 0]);
    await other.stop();
  });
});

describe("when its database does not answer", () => {
  test("the service says so, decides nothing, and goes on afterwards", async () => {
    const id = await rig.open();
    const { database } = rig.settings;
    // Somebody else who writes and does not come to an end.
    const other = new Database(database.kind === "file" ? database.file : "");
    other.exec("BEGIN IMMEDIATE");
    const [errors, denied] = [await rig.counted("databaseErrors"), await rig.counted("decisions", "denied")];
    const answer = await alice.form(`/a/${id}/deny`);
    expect(answer.statusCode).toBe(503);
    expect(await rig.counted("databaseErrors")).toBe(errors + 1);
    expect(textOf(answer)).toContain("Nothing was approved");
    expect(answer.body).not.toMatch(/SQLITE|lock/i);
    other.exec("ROLLBACK");
    other.close();
    expect(await rig.store.approval(id)).toMatchObject({ state: "pending" });
    expect(await rig.counted("decisions", "denied")).toBe(denied);
    expect((await alice.form(`/a/${id}/deny`)).statusCode).toBe(303);
    expect(await rig.counted("decisions", "denied")).toBe(denied + 1);
    expect((await alice.form(`/a/${id}/deny`)).statusCode).toBe(409);
    expect(await rig.counted("decisions", "denied")).toBe(denied + 1);
  });
});

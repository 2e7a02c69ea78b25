// Exports of approvals, and `mcp-guard approval verify`. Goal: an auditor who has an export, the service's public key and the guards' records finds out whatever
// does not fit: a call, a signature, a receipt, an entry of the history that was changed, added or left out. Method: approvals that people have given with
// passkeys and guards have claimed, exported from the service's database; then each part is changed, one at a time.
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportedLines, openForExport } from "../../approval/export.ts";
import { type ReceiptSigner, readSigner } from "../../approval/signing.ts";
import type { Store } from "../../approval/store/store.ts";
import type { Evidence } from "../../src/approval/evidence.ts";
import type { ExportedApproval } from "../../src/approval/exported.ts";
import { type Receipt, signReceipt } from "../../src/approval/receipt.ts";
import { approval } from "../../src/cli/commands/approval.ts";
import { GuardError } from "../../src/error.ts";
import { Authenticator } from "./authenticator.ts";
import { sqliteFiles } from "./databases.ts";
import { sampleCall } from "./sample-call.ts";
import { type PageRig, PUBLIC_URL, signedIn, startPages, type Visitor } from "./visitor.ts";

const KID = "2026-11";
const MINUTE_MS = 60_000;
const NONCES = ["A", "B", "C", "D"].map((letter) => `${letter.repeat(21)}A`);

let folder: string;
let rig: PageRig;
let signer: ReceiptSigner;
const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
/** What the service has written: a call that was claimed, one that was denied, one whose time was over, one that waits, and another one that was claimed. */
let lines: string[];
let ids: { claimed: string; denied: string; expired: string; pending: string; second: string };

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-export-"));
  const keyFile = path.join(folder, "key.pem");
  writeFileSync(keyFile, keys.privateKey.export({ type: "pkcs8", format: "pem" }));
  signer = readSigner({ keyFile, kid: KID });
  rig = await startPages();
  const alice = await signedIn(rig, "alice");
  const device = new Authenticator(PUBLIC_URL);
  const registration = device.register((await alice.json("/passkeys/options", {})).json());
  expect((await alice.json("/passkeys/verify", { name: "Phone", registration })).statusCode).toBe(200);

  const expired = await rig.open();
  rig.wait(6 * MINUTE_MS);
  await rig.store.sweep();
  rig.setClock();
  const claimed = await rig.open({ arguments: '{"name":"\u{1f512} vault","tags":["a"]}', task: '{"ttl":1e3}' });
  const denied = await rig.open();
  expect((await alice.form(`/a/${denied}/deny`, { reason: "not now" })).statusCode).toBe(303);
  await approve(alice, device, claimed);
  await claim(claimed, NONCES[0]!);
  const pending = await rig.open();
  const second = await rig.open();
  await approve(alice, device, second);
  await claim(second, NONCES[1]!);
  ids = { claimed, denied, expired, pending, second };
  lines = await exported();
}, 30_000);

afterAll(async () => {
  await rig.stop();
  rmSync(folder, { recursive: true });
});

/** Approves a call as the page's script does. */
async function approve(visitor: Visitor, device: Authenticator, id: string): Promise<void> {
  const options = (await visitor.json(`/a/${id}/challenge`, {})).json<{ challenge: string }>();
  expect((await visitor.json(`/a/${id}/approve`, device.assert(options))).statusCode).toBe(200);
}

/** Claims an approval as the guards' API does. */
async function claim(id: string, nonce: string): Promise<void> {
  const { digest } = (await rig.store.approval(id))!;
  const ready = await rig.store.readyToClaim({ id, digest, nonce });
  if (ready.kind !== "ready") throw new Error(`not ready: ${ready.kind}`);
  const { server, issuer, principal, tool, approver } = ready.approval;
  const iat = Math.floor(rig.now() / 1_000);
  const receipt = { id, nonce, digest, server, issuer, principal, tool, approver: approver ?? "", iat, exp: iat + 60 };
  const outcome = await rig.store.claim({ id, digest, nonce }, await signer.sign(receipt));
  expect(outcome).toMatchObject({ kind: "receipt", fresh: true });
}

async function exported(after = 0): Promise<string[]> {
  const store = await openForExport(rig.settings.database, rig.now);
  try {
    return await collected(store, after);
  } finally {
    await store.close();
  }
}

async function collected(store: Store, after: number): Promise<string[]> {
  const written: string[] = [];
  for await (const line of exportedLines(store, after)) written.push(line);
  return written;
}

interface Outcome {
  readonly status: number;
  readonly text: string;
}

/** Runs the command on lines, and on records of guards. */
async function verify(
  content: readonly string[],
  { records = [] as object[], args = [] as string[] } = {},
): Promise<Outcome> {
  const file = path.join(folder, "export.jsonl");
  writeFileSync(file, content.map((line) => `${line}\n`).join(""));
  const log = path.join(folder, "audit.log");
  writeFileSync(log, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  const options = [...args, ...(records.length > 0 ? ["--audit", log] : [])];
  return run(["--key", `${KID}=${signer.spki}`, ...options, file]);
}

async function run(args: string[]): Promise<Outcome> {
  const written: string[] = [];
  const out = (line: string): void => void written.push(line);
  const { signal } = new AbortController();
  const status = await approval(["verify", ...args], { out, warn() {}, status() {}, env: {}, signal });
  return { status, text: written.join("\n").replaceAll(`${folder}${path.sep}`, "") };
}

const parsed = (line: string): ExportedApproval => JSON.parse(line) as ExportedApproval;

/** The line of an approval. */
function lineOf(id: string): string {
  return lines.find((line) => parsed(line).id === id) ?? "";
}

/** All lines, with that of one approval changed. */
function changed(id: string, change: (approval: ExportedApproval) => object): string[] {
  return lines.map((line) => {
    const approval = parsed(line);
    return approval.id === id ? JSON.stringify({ ...approval, ...change(approval) }) : line;
  });
}

describe("an export", () => {
  test("has each approval once, in the order of what happened to it last, with its evidence, its receipt and its history", () => {
    const approvals = lines.map(parsed);
    const { claimed, denied, expired, pending, second } = ids;
    expect(approvals.map(({ id }) => id)).toEqual([expired, denied, claimed, pending, second]);
    expect(approvals.map(({ state }) => state)).toEqual(["expired", "denied", "claimed", "pending", "claimed"]);
    expect(approvals.flatMap(({ history }) => history.map(({ sequence }) => sequence)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 11 }, (_, index) => index + 1),
    );
    const one = parsed(lineOf(claimed));
    expect(one).toMatchObject({ v: 1, tool: "delete_repository", task: '{"ttl":1e3}', nonce: NONCES[0], reason: null });
    expect(one.evidence).toMatchObject({ v: 1, standing: "principal", user: { subject: "alice" } });
    expect(one.receipt?.split(".")).toHaveLength(3);
    expect(parsed(lineOf(denied))).toMatchObject({ reason: "not now", evidence: null, receipt: null });
  });

  test("can go on where another one has ended", async () => {
    const after = parsed(lines[2]!).history.at(-1)!.sequence;
    expect(await exported(after)).toEqual(lines.slice(3));
    expect(await exported(11)).toEqual([]);
  });

  test("is none of a database that is not there", async () => {
    const file = path.join(folder, "nowhere.db");
    await expect(openForExport({ kind: "file", file }, Date.now)).rejects.toThrow(
      `DATABASE_FILE=${file} does not exist`,
    );
  });

  test("does not end at evidence that the service has not written, and its reader says so", async () => {
    const other = await startPages();
    try {
      const [bad, good] = [await other.open(), await other.open()];
      const now = other.now();
      const change = `state = 'approved', approver = 'x', decided_at = ${now}, assertion = 'junk'`;
      await sqliteFiles().attack(other.settings.database, `UPDATE approvals SET ${change} WHERE id = '${bad}'`);
      const content = await collected(other.store, 0);
      expect(content.map((line) => parsed(line).id)).toEqual([bad, good]);
      const { status, text } = await verify(content);
      expect(status).toBe(1);
      expect(text).toContain("export.jsonl:1: /evidence: must be object");
    } finally {
      await other.stop();
    }
  });
});

describe("an export as it was written", () => {
  test("has no fault", async () => {
    expect(await verify(lines)).toEqual({
      status: 0,
      text: [
        "approvals 5: pending 1, approved 0, denied 1, expired 1, claimed 2; last entry of the history 11",
        "no faults",
      ].join("\n"),
    });
  });

  test("has none in two parts either, and says what happened in between", async () => {
    const after = parsed(lines[2]!).history.at(-1)!.sequence;
    expect((await verify(lines.slice(3), { args: ["--after", `${after}`] })).status).toBe(0);
    // An approval that had only been opened in the first part.
    const { history } = parsed(lineOf(ids.second));
    const before = {
      ...parsed(lineOf(ids.second)),
      state: "pending",
      decided_at: null,
      approver: null,
      evidence: null,
    };
    const waiting = { ...before, claimed_at: null, nonce: null, receipt: null, history: history.slice(0, 1) };
    expect((await verify([...lines.slice(0, 4), JSON.stringify(waiting), lines[4]!])).status).toBe(0);
    // The other way round the history would go back.
    const backwards = await verify([...lines, JSON.stringify(waiting)]);
    expect(backwards.text).toContain(`export.jsonl:6: approval ${ids.second}: stands there twice`);
  });

  test("without any approval proves nothing", async () => {
    expect(await verify([])).toMatchObject({ status: 1, text: expect.stringContaining("found no approval") });
  });
});

describe("an export that was changed is found out:", () => {
  /** Changes a member of the evidence. */
  const evidence =
    (change: (found: Evidence) => object) =>
    ({ evidence: found }: ExportedApproval) => ({ evidence: { ...found, ...change(found!) } });
  const flipped = (text: string): string => (text.startsWith("A") ? `B${text.slice(1)}` : `A${text.slice(1)}`);
  /** Changes entries of the history. */
  const history =
    (change: (entries: ExportedApproval["history"]) => object) =>
    ({ history: entries }: ExportedApproval) => ({ history: change(entries) });

  test.each<[string, keyof typeof ids, (approval: ExportedApproval) => object, string]>([
    ["another argument", "claimed", () => ({ arguments: '{"name":"all"}' }), "digest: found "],
    ["another principal", "denied", () => ({ principal: "bob" }), "digest: found "],
    ["another tool", "pending", () => ({ tool: "read_file" }), "digest: found "],
    ["arguments in another spelling", "claimed", () => ({ arguments: "{ }" }), "arguments: found another text"],
    ["a state that is not the last one", "expired", () => ({ state: "pending" }), "state: not what the history says"],
    ["a time", "denied", () => ({ decided_at: "2026-01-01T00:00:00.000Z" }), "decided_at: not what"],
    ["another approver", "claimed", () => ({ approver: "x#bob" }), "approver: not what"],
    ["another reason", "denied", () => ({ reason: "yes" }), "reason: not what"],
    ["another nonce", "claimed", () => ({ nonce: NONCES[2] }), "nonce: not what"],
    ["the time of the claim", "claimed", () => ({ claimed_at: null }), "claimed_at: not what"],
    ["the time of its beginning", "pending", () => ({ opened_at: "2026-01-01T00:00:00.000Z" }), "opened_at: not what"],
    ["an entry that is gone", "claimed", history((all) => [all[0], all[2]]), "history: found opened claimed"],
    [
      "entries that have changed places",
      "claimed",
      history(([opened, approved, claimed]) => [
        opened,
        { ...approved, sequence: claimed!.sequence },
        { ...claimed, sequence: approved!.sequence },
      ]),
      "history: its entries are not in order",
    ],
    [
      "a signature",
      "claimed",
      evidence(({ signature }) => ({ signature: flipped(signature) })),
      "evidence: no signature",
    ],
    [
      "the question that was signed",
      "claimed",
      evidence(({ challenge }) => ({ challenge: { ...challenge, expires: challenge.expires + 1 } })),
      "evidence: no signature",
    ],
    ["the origin", "claimed", evidence(() => ({ origin: "https://evil.example" })), "evidence: no signature"],
    [
      "the user who has signed",
      "claimed",
      evidence(({ user }) => ({ user: { ...user, subject: "bob" } })),
      "evidence: of another user than the approver",
    ],
    [
      "the evidence of another call",
      "claimed",
      () => ({ evidence: parsed(lineOf(ids.second)).evidence }),
      "evidence: no signature",
    ],
    ["no evidence", "claimed", () => ({ evidence: null }), "evidence: there is none"],
    [
      "evidence of a call that nobody approved",
      "denied",
      () => ({ evidence: parsed(lineOf(ids.second)).evidence }),
      "evidence: there is some",
    ],
    ["no receipt", "claimed", () => ({ receipt: null }), "receipt: there is none"],
    [
      "a receipt of a call that was not claimed",
      "denied",
      () => ({ receipt: parsed(lineOf(ids.second)).receipt }),
      "receipt: there is one",
    ],
    [
      "the receipt of another call",
      "claimed",
      () => ({ receipt: parsed(lineOf(ids.second)).receipt }),
      "receipt: its id is not that of the approval",
    ],
    [
      "a receipt with another signature",
      "claimed",
      ({ receipt }) => ({ receipt: receipt?.replace(/.{4}$/, "AAAA") }),
      "receipt: ",
    ],
    ["a member that nobody knows", "pending", () => ({ note: "" }), "the line: must NOT have additional properties"],
    ["a version that nobody knows", "pending", () => ({ v: 2 }), "/v: must be equal to constant"],
  ])("%s", async (_what, which, change, expected) => {
    const { status, text } = await verify(changed(ids[which], change));
    expect(status).toBe(1);
    expect(text).toContain(expected);
    // The others are as they were.
    expect(text).toMatch(/^1 fault$|^\d faults$/m);
    expect(text).not.toMatch(new RegExp(`approval (?!${ids[which]})[\\w-]{22}`));
  });

  test.each<[string, Partial<Receipt>, string]>([
    ["of another server", { server: "other" }, "receipt: its server is not"],
    ["of another principal", { principal: "bob" }, "receipt: its principal is not"],
    ["of another issuer", { issuer: "https://other.example" }, "receipt: its issuer is not"],
    ["of another tool", { tool: "read_file" }, "receipt: its tool is not"],
    ["of another approver", { approver: "x#bob" }, "receipt: its approver is not"],
    ["of another digest", { digest: "0".repeat(64) }, "receipt: its digest is not"],
    ["of another claim", { nonce: NONCES[3]! }, "receipt: its nonce is not"],
    ["of a time before the approval", { iat: 1, exp: 61 }, "receipt: not of the time"],
    ["of a time after the claim", { iat: 4e9, exp: 4e9 + 60 }, "receipt: not of the time"],
  ])("a receipt %s, signed with the right key", async (_what, change, expected) => {
    const payload = JSON.parse(
      Buffer.from(parsed(lineOf(ids.claimed)).receipt?.split(".")[1] ?? "", "base64url").toString(),
    ) as Receipt & { v?: number };
    const { v: _version, ...receipt } = payload;
    const forged = await signer.sign({ ...receipt, ...change });
    const { status, text } = await verify(changed(ids.claimed, () => ({ receipt: forged })));
    expect(status).toBe(1);
    expect(text).toContain(`approval ${ids.claimed}: ${expected}`);
  });

  test("a receipt that another key has signed, under the name of this one", async () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const { id, nonce, digest, server, issuer, principal, tool, approver } = parsed(lineOf(ids.claimed));
    const iat = Math.floor(rig.now() / 1_000);
    const members = {
      id,
      nonce: nonce!,
      digest,
      server,
      issuer,
      principal,
      tool,
      approver: approver!,
      iat,
      exp: iat + 60,
    };
    const receipt = await signReceipt(members, other, KID);
    const { status, text } = await verify(changed(id, () => ({ receipt })));
    expect(status).toBe(1);
    expect(text).toContain(`approval ${id}: receipt: "signature verification failed"`);
  });

  test("an approval that is gone, from the middle or the end of one that has begun", async () => {
    const without = (id: string) => lines.filter((line) => line !== lineOf(id));
    const { status, text } = await verify(without(ids.denied));
    expect(status).toBe(1);
    expect(text).toContain("history: entry 4 is in no line, nor is 1 other");
    expect((await verify(without(ids.pending))).text).toContain("history: entry 8 is in no line\n");
    expect((await verify(lines.slice(1))).text).toContain("history: entry 1 is in no line, nor is 1 other");
  });

  test("one entry of the history that two approvals have", async () => {
    const moved = changed(ids.pending, ({ history: [entry] }) => ({ history: [{ ...entry, sequence: 1 }] }));
    expect((await verify(moved)).text).toMatch(/history: entry 1 is also that of /);
  });

  test("a member that stands twice, and a line that is no text", async () => {
    const twice = lines.map((line) => line.replace('"tool":', '"tool":"read_file","tool":'));
    expect((await verify(twice)).text).toContain("export.jsonl:1: found another spelling than an export has");
    expect((await verify([...lines, "junk"])).text).toContain("export.jsonl:6: found no JSON");
  });
});

describe("with the guards' records", () => {
  const record = (id: string, changes: object = {}): object => ({
    "mcp_guard.audit.version": 1,
    "event.id": "1",
    "mcp_guard.decision": "allow",
    "user.id": "alice",
    "mcp_guard.user.issuer": sampleCall().issuer,
    "gen_ai.tool.name": "delete_repository",
    "mcp_guard.approval.id": id,
    "mcp_guard.approval.approver": `${rig.provider.issuer}#alice`,
    ...changes,
  });
  const nobody = { "mcp_guard.approval.approver": undefined, "mcp_guard.decision": "refuse" };

  test("each is joined with its approval, as often as the log has it", async () => {
    const records = [
      record(ids.claimed),
      record(ids.claimed),
      record(ids.denied, { ...nobody, "event.id": "2" }),
      { "mcp_guard.audit.version": 1, "event.id": "3", "mcp_guard.decision": "allow" },
    ];
    const { status, text } = await verify(lines, { records });
    expect(text).toContain("audit records with an approval 3; claimed, and in no record 1\nno faults");
    expect(status).toBe(0);
  });

  test.each<[string, () => object[], string]>([
    ["an approval that no line has", () => [record("A".repeat(22))], "a guard names it, and no line has it"],
    [
      "a call that has passed while its approval waits",
      () => [record(ids.pending, { "mcp_guard.approval.approver": undefined })],
      "a guard has let its call pass, and it is pending",
    ],
    [
      "a call that has passed after a denial",
      () => [record(ids.denied)],
      "a guard has let its call pass, and it is denied",
    ],
    [
      "two calls that have passed with one approval",
      () => [record(ids.claimed), record(ids.claimed, { "event.id": "2" })],
      "a second call has passed with it",
    ],
    [
      "another approver",
      () => [record(ids.claimed, { "mcp_guard.approval.approver": "x#bob" })],
      "approver: a guard has x#bob",
    ],
    [
      "another approver, in a record that was cut",
      () => [record(ids.claimed, { "mcp_guard.approval.approver": "x#bob", "mcp_guard.truncated": true })],
      "approver: a guard has x#bob",
    ],
    ["another principal", () => [record(ids.claimed, { "user.id": "bob" })], "user.id: a guard has bob"],
    ["another issuer", () => [record(ids.claimed, { "mcp_guard.user.issuer": "x" })], "user.issuer: a guard has x"],
    ["another tool", () => [record(ids.claimed, { "gen_ai.tool.name": "x" })], "gen_ai.tool.name: a guard has x"],
    [
      "an approval that is no text",
      () => [record(ids.claimed, { "mcp_guard.approval.id": 1 })],
      "its approval is no text",
    ],
  ])("%s is found out", async (_what, records, expected) => {
    const { status, text } = await verify(lines, { records: records() });
    expect(status).toBe(1);
    expect(text).toContain(expected);
  });

  test("a name that was cut is no other name", async () => {
    const cut = record(ids.claimed, { "gen_ai.tool.name": "delete_re", "mcp_guard.truncated": true });
    expect((await verify(lines, { records: [cut] })).status).toBe(0);
  });
});

test.each<[string, () => string[], string]>([
  ["no key", () => ["export.jsonl"], "found no --key, expected --key <kid>=<spki>"],
  ["a key without a name", () => ["--key", signer.spki, "x"], "expected --key <kid>=<spki>"],
  ["a key that is none", () => ["--key", "a=AAAA", "x"], "--key a=AAAA: expected"],
  ["one name twice", () => ["--key", `a=${signer.spki}`, "--key", `a=${signer.spki}`, "x"], "found a twice"],
  ["no file", () => ["--key", `a=${signer.spki}`], "found no FILE"],
  [
    "a file that is not there",
    () => ["--key", `a=${signer.spki}`, "nowhere.jsonl"],
    "nowhere.jsonl: there is no such file",
  ],
  ["an entry that is no number", () => ["--key", `a=${signer.spki}`, "--after", "x", "f"], "--after x: expected"],
])("the command says what is wrong with %s", async (_what, args, expected) => {
  const error: unknown = await run(args()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(GuardError);
  expect(error).toMatchObject({ code: "ERR_USAGE", message: expect.stringContaining(expected) });
});

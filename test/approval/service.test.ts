// How the service starts, what it says when it cannot, and that nothing is left of it then.
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Writable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startService } from "../../approval/service.ts";
import { type Environment, readSettings } from "../../approval/settings.ts";
import { openStore } from "../../approval/store/open-store.ts";
import type { Call } from "../../approval/store/store.ts";
import { startChild } from "../../src/child.ts";
import { projectPath } from "../../src/project.ts";
import { START } from "./filter-rig.ts";
import { sampleCalls } from "./sample-call.ts";

const SECRET = "secret-of-the-guards-0123456789abcdef";

describe("the service", () => {
  let folder = "";
  let taken: Server;
  let log = "";
  const file = (name: string, content: string): string => {
    const place = path.join(folder, name);
    writeFileSync(place, content);
    return place;
  };
  const pem = (key: ReturnType<typeof generateKeyPairSync>["privateKey"]) =>
    String(key.export({ type: "pkcs8", format: "pem" }));
  const environment = (changes: Environment = {}): Environment => ({
    PORT: "0",
    FILTER_PORT: "0",
    PUBLIC_URL: "http://127.0.0.1:8080",
    DATABASE_FILE: path.join(folder, "data", "approval.db"),
    SIGNING_KEY_FILE: path.join(folder, "key.pem"),
    SIGNING_KEY_ID: "test",
    OIDC_ISSUER: "http://127.0.0.1:9",
    OIDC_CLIENT_ID: "approval",
    PRINCIPALS: '[{"issuer":"https://issuer.example","claim":"sub"}]',
    FILTER_SECRET: SECRET,
    ...changes,
  });
  const start = (changes: Environment = {}) =>
    startService(readSettings(environment(changes)), {
      clock: () => START,
      log: new Writable({
        write(chunk, _encoding, done) {
          log += String(chunk);
          done();
        },
      }),
    });

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-service-"));
    file("key.pem", pem(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey));
    taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  });
  afterAll(async () => {
    await new Promise((resolve) => taken.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  it("answers on two ports, says which key it signs with, and ends when it is told to", async () => {
    const service = await start();
    const urls = [service.port, service.filterPort].map((port) => `http://127.0.0.1:${port}/readyz`);
    for (const url of urls) expect((await fetch(url)).status).toBe(200);
    expect(log).toMatch(/"kid":"test","spki":"MFkw/);
    await Promise.all([service.stop(), service.stop()]);
    for (const url of urls) await expect(fetch(url)).rejects.toThrow();
  });

  it("refuses a signing key that is none", async () => {
    const keys: [string, RegExp][] = [
      [path.join(folder, "nowhere.pem"), /cannot be read \(ENOENT/],
      [file("junk.pem", "junk"), /has no private key that can be read/],
      [
        file("rsa.pem", pem(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey)),
        /has a key of the type rsa/,
      ],
      [
        file("p384.pem", pem(generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey)),
        /has a key of the type secp384r1/,
      ],
      [file("ed.pem", pem(generateKeyPairSync("ed25519").privateKey)), /has a key of the type ed25519/],
    ];
    for (const [place, expected] of keys) {
      const started = start({ SIGNING_KEY_FILE: place });
      await expect(started, place).rejects.toMatchObject({
        code: "ERR_USAGE",
        message: expect.stringMatching(expected),
      });
      await expect(started).rejects.toThrow(/^SIGNING_KEY_FILE=.*; expected a file with an EC P-256 private key/);
    }
  });

  it("names the port that it cannot have, and gives the other one back", async () => {
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await expect(start({ FILTER_PORT: `${port}` })).rejects.toMatchObject({
      code: "ERR_PORT",
      message: `FILTER_PORT=${port} on 127.0.0.1 is already in use; expected a free port`,
    });
    // The database is let go of, too.
    await (await start()).stop();
  });

  it("names the database that does not answer, without its password", async () => {
    const started = start({ DATABASE_FILE: "", DATABASE_URL: "postgres://guard:pass-word@127.0.0.1:9/approval" });
    await expect(started).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: expect.stringMatching(
        /^DATABASE_URL \(127\.0\.0\.1:9\/approval\): the database does not answer: .*ECONNREFUSED/,
      ),
    });
    await expect(started).rejects.not.toThrow(/pass-word/);
  });

  it("as a process writes what auditors want, with the settings of the database alone", async () => {
    const database = path.join(folder, "exported.db");
    const place = { kind: "file", file: database } as const;
    const options = { clock: () => START, pendingMs: 60_000, approvedMs: 60_000, openPerPrincipal: 5, perHour: 5 };
    const store = await openStore(place, options);
    for (const call of sampleCalls(2)) await store.open(call);
    const output = path.join(folder, "export.jsonl");
    const program = projectPath("build", "approval", "approval", "main.js");
    const write = async (...args: string[]) => {
      const command = ["-c", 'out="$1"; shift; exec "$0" "$@" > "$out"', process.execPath, output, program, ...args];
      const child = await startChild("/bin/sh", command, { stdio: "ignore", env: { DATABASE_FILE: database } });
      const { code } = await child.exited;
      const lines = readFileSync(output, "utf8").split("\n");
      return {
        code,
        last: lines.at(-1),
        arguments: lines.slice(0, -1).map((line) => (JSON.parse(line) as Call).arguments),
      };
    };
    // While somebody else has the database open, as the service does.
    expect(await write("export")).toEqual({ code: 0, last: "", arguments: ['{"n":0}', '{"n":1}'] });
    expect(await write("export", "--after", "1")).toMatchObject({ code: 0, arguments: ['{"n":1}'] });
    for (const wrong of [["export", "--after", "x"], ["exports"]])
      expect(await write(...wrong)).toMatchObject({ code: 2 });
    await store.close();
  });

  it("as a process says what is missing, and ends with a status of its own", async () => {
    const program = projectPath("build", "approval", "approval", "main.js");
    const complaints = path.join(folder, "complaints");
    const child = await startChild("/bin/sh", ["-c", 'exec "$0" "$1" 2> "$2"', process.execPath, program, complaints], {
      stdio: "ignore",
      env: { PORT: "no" },
    });
    expect(await child.exited).toEqual({ code: 2, signal: null });
    expect(readFileSync(complaints, "utf8")).toMatch(
      /^approval service: \d+ settings are wrong:\n(?: {2}[A-Z_]+ .*; expected .*\n)+$/,
    );
  });
});

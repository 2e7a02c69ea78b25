// The module of assembly/receipt-checker.ts: how it is built, configured and asked.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import asc from "assemblyscript/asc";
import type { Plugin } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";

/** Where the compiled module lies. */
export const CHECKER_PATH = projectPath("build", "receipt-checker.wasm");

/** As the filter is built. */
const ASC_ARGUMENTS: readonly string[] = [
  ...["test/approval/assembly/receipt-checker.ts", "--outFile", CHECKER_PATH],
  ...["--runtime", "minimal", "--exportStart", "_initialize", "--use", "abort=assembly/host/abort/abort"],
  ...["--optimizeLevel", "3", "--noAssert", "--enable", "simd"],
];

/** What a receipt must say, by its members' names. */
export interface Expected {
  readonly id: string;
  readonly nonce: string;
  readonly digest: string;
  readonly server: string;
  readonly issuer: string;
  readonly principal: string;
  readonly tool: string;
}

/** What the module answers: a reason's name, and who approved. */
export interface Verdict {
  readonly reason: string;
  readonly approver: string;
}

let built: Promise<Uint8Array> | undefined;

/** Compiles the module (some seconds, once) and gives its bytes. @throws Error with asc's own messages. */
export function buildChecker(): Promise<Uint8Array> {
  built ??= compile();
  return built;
}

async function compile(): Promise<Uint8Array> {
  const root = projectPath();
  const { error, stderr } = await asc.main([...ASC_ARGUMENTS, "--baseDir", root], {
    readFile: (name, baseDir) => readIfThere(path.resolve(baseDir, name)),
    writeFile: (name, contents, baseDir) => {
      const file = path.resolve(baseDir, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, contents);
    },
  });
  if (error) throw new Error(`the module does not compile: ${error.message}\n${stderr.toString()}`);
  return new Uint8Array(readFileSync(CHECKER_PATH));
}

/** The module's configuration. @param keys DER of SubjectPublicKeyInfo, by `kid`, in the order of the policy. */
export function checkerConfiguration(keys: ReadonlyMap<string, Uint8Array>, expected: Expected): string {
  const keyLines = [...keys].map(([kid, spki]) => `key\t${kid}\t${Buffer.from(spki).toString("hex")}`);
  return [...keyLines, ...Object.entries(expected).map(([member, value]) => `${member}\t${value}`)].join("\n");
}

/** What a request to the module needs: its path, and the receipt as its body. */
export function receiptPath(now: number): string {
  return `/receipt/${now}`;
}

/** The two lines of an answer. */
export function parseAnswer(body: Uint8Array): readonly [string, string] {
  const text = Buffer.from(body).toString("utf8");
  const end = text.indexOf("\n");
  return [text.slice(0, end), text.slice(end + 1)];
}

/** Sends one request through the module on the Node host; the two lines of its answer. */
export function askPlugin(plugin: Plugin, requestPath: string, body: Uint8Array | string): readonly [string, string] {
  const stream = plugin.openStream();
  stream.requestHeaders({ ":method": "POST", ":path": requestPath, ":authority": "checker" }, false);
  stream.requestBody(body, true);
  const reply = stream.localReply;
  stream.finish();
  if (reply === undefined) throw new Error("the module has not answered");
  return parseAnswer(reply.body);
}

/** Checks a receipt on the Node host. */
export function check(plugin: Plugin, receipt: Uint8Array | string, now: number): Verdict {
  const [reason, approver] = askPlugin(plugin, receiptPath(now), receipt);
  return { reason, approver };
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

// `mcp-guard approval digest`: the digest of a call, so that whoever has the call can see whether a receipt is about it.
import { parseArgs } from "node:util";
import { canonicalText, type JsonNode, parseStrict } from "../../approval/canonical.ts";
import { type CallFields, callDigest, inputResponsesText } from "../../approval/digest.ts";
import { escapeUnits } from "../../audit/record.ts";
import { hasHidden, visible } from "../../audit/visible.ts";
import { GuardError } from "../../error.ts";
import { auditInputs } from "../audit-input.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard approval digest [options] [FILE|-]

Prints the canonical arguments of a call and the digest that an approval and its receipt have for it, as
schema/canonical-arguments.md describes them.

  FILE                  the call, in one of two forms; - or nothing for the standard input:
                        a tools/call as the client sent it, of which the options tell what the message does not have;
                        or an object with the members server, authority, path, issuer, principal, method, tool and, where the
                        call has them, arguments, task and input_responses: JSON values, not texts with JSON in them
  --server <id>         approval.server of the guard's policy
  --authority <host>    :authority of the request, as the proxy has it
  --path <path>         :path of the request, with its query
  --issuer <issuer>     who vouches for the principal; "" for nobody
  --principal <id>      who asked
  --json                all of it as JSON

Characters that are not seen are shown as escapes. Ends with status 2 when the file is not one call that the guard would read.

  mcp-guard approval digest call.json
  mcp-guard approval digest --server github --authority mcp.example --path /mcp \\
    --issuer https://login.example --principal alice message.json
  mcp-guard approval digest --json - < call.json
`;

/** More than a guard reads of a body that needs an approval, with room for white space. */
const FILE_BYTES_MAX = 16 << 20;
/** The object around the fields is no part of the call. */
const FIELDS_DEPTH_MAX = 65;
/** Members that the options can have instead. */
const OPTIONS = ["server", "authority", "path", "issuer", "principal"] as const;
const TEXTS = [...OPTIONS, "method", "tool"] as const;
const VALUES = ["arguments", "task", "input_responses"] as const;

/** Members by name. */
type Members = ReadonlyMap<string, JsonNode>;

/** Reads the call and prints its digest. */
export const approvalDigest: Command = async (args, context) => {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      server: text,
      authority: text,
      path: text,
      issuer: text,
      principal: text,
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  if (positionals.length > 1) {
    throw new GuardError("ERR_USAGE", `found ${positionals.length} files, expected one call`);
  }
  const name = positionals[0] ?? "-";
  const fields = await readCall(name, values, context.signal);
  const digest = callDigest(fields);
  for (const line of values.json ? renderJson(fields, digest) : renderText(fields, digest)) context.out(line);
  return 0;
};

type Options = Readonly<Partial<Record<(typeof OPTIONS)[number], string | undefined>>>;

async function readCall(name: string, options: Options, signal: AbortSignal): Promise<CallFields> {
  const [input] = auditInputs([name], signal);
  if (input === undefined) throw new GuardError("ERR_USAGE", "found no FILE, expected a call");
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of input.open()) {
    bytes += piece.length;
    if (bytes > FILE_BYTES_MAX) {
      throw new GuardError("ERR_USAGE", `${input.name}: found more than ${FILE_BYTES_MAX >> 20} MiB, expected a call`);
    }
    pieces.push(piece);
  }
  try {
    return fieldsOf(decode(Buffer.concat(pieces)), options);
  } catch (error) {
    if (!(error instanceof GuardError)) throw error;
    throw new GuardError(error.code, `${input.name}: ${error.message}`, { cause: error });
  }
}

function decode(bytes: Uint8Array): string {
  try {
    // A byte order mark stays, and is refused as the guard refuses it.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new GuardError("ERR_USAGE", "found bytes that are no UTF-8, expected JSON", { cause: error });
  }
}

function fieldsOf(text: string, options: Options): CallFields {
  const members = membersOf(parseStrict(text, FIELDS_DEPTH_MAX), "the call");
  if (!members.has("jsonrpc")) {
    for (const name of members.keys()) {
      if (!([...TEXTS, ...VALUES] as readonly string[]).includes(name)) {
        throw new GuardError(
          "ERR_USAGE",
          `found the unknown member ${visible(name)}, expected ${[...TEXTS, ...VALUES].join(" ")}, or a message with jsonrpc`,
        );
      }
    }
    return withOptions(members, options);
  }
  // Again, as deep as the guard reads it.
  parseStrict(text);
  const method = textOf(members, "method");
  if (method !== "tools/call") {
    throw new GuardError("ERR_USAGE", `method: found ${visible(method)}, expected tools/call`);
  }
  const params = membersOf(members.get("params"), "params");
  const call = new Map<string, JsonNode>([["method", { kind: "string", value: method }]]);
  const taken = [
    ["tool", "name"],
    ["arguments", "arguments"],
    ["task", "task"],
    ["input_responses", "inputResponses"],
  ] as const;
  for (const [field, param] of taken) {
    const value = params.get(param);
    if (value !== undefined) call.set(field, value);
  }
  const tool = params.get("name");
  if (tool?.kind !== "string") {
    throw new GuardError("ERR_USAGE", `params.name: found ${kindOf(tool)}, expected a string`);
  }
  return withOptions(call, options);
}

function withOptions(call: Members, options: Options): CallFields {
  const members = new Map(call);
  for (const name of OPTIONS) {
    const value = options[name];
    if (value === undefined) continue;
    if (members.has(name)) throw new GuardError("ERR_USAGE", `found ${name} and --${name}, expected one of them`);
    members.set(name, { kind: "string", value });
  }
  const text = (name: (typeof TEXTS)[number]): string => textOf(members, name);
  const value = (name: (typeof VALUES)[number], write: (node: JsonNode) => string): string => {
    const node = members.get(name);
    return node === undefined ? "" : write(node);
  };
  return {
    server: text("server"),
    authority: text("authority"),
    path: text("path"),
    issuer: text("issuer"),
    principal: text("principal"),
    method: text("method"),
    tool: text("tool"),
    arguments: value("arguments", canonicalText),
    task: value("task", canonicalText),
    inputResponses: value("input_responses", inputResponsesText),
  };
}

function membersOf(node: JsonNode | undefined, place: string): Members {
  if (node?.kind !== "object") {
    throw new GuardError("ERR_USAGE", `${place}: found ${kindOf(node)}, expected an object`);
  }
  return new Map(node.members.map(({ name, value }) => [name, value]));
}

function textOf(members: Members, name: string): string {
  const node = members.get(name);
  if (node?.kind !== "string") {
    const also = (OPTIONS as readonly string[]).includes(name) ? ` or --${name}` : "";
    throw new GuardError("ERR_USAGE", `${name}: found ${kindOf(node)}, expected a string${also}`);
  }
  return node.value;
}

function kindOf(node: JsonNode | undefined): string {
  if (node === undefined) return "nothing";
  if (node.kind === "word") return node.text;
  return node.kind === "object" || node.kind === "array" ? `an ${node.kind}` : `a ${node.kind}`;
}

function renderText(fields: CallFields, digest: string): string[] {
  const shown = (text: string): string => (text === "" ? "absent" : escapeHidden(text));
  return [
    `arguments        ${shown(fields.arguments)}`,
    `task             ${shown(fields.task)}`,
    `input responses  ${shown(fields.inputResponses)}`,
    `digest           ${digest}`,
  ];
}

/** The names are those of the file; the canonical texts are strings. */
function renderJson({ inputResponses, ...fields }: CallFields, digest: string): string[] {
  const value = { ...fields, input_responses: inputResponses, digest };
  return escapeHidden(JSON.stringify(value, undefined, 2)).split("\n");
}

/** JSON in which each character that is not seen is an escape: another spelling of the same value. */
function escapeHidden(text: string): string {
  if (!hasHidden(text)) return text;
  return Array.from(text, (character) =>
    character !== "\n" && hasHidden(character) ? escapeUnits(character) : character,
  ).join("");
}

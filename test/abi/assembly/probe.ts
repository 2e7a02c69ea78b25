// A module that does what its configuration says and logs one line for every callback, so that one table of rows can be
// run on two hosts and compared. It is a test tool: it allocates freely and never frees.
//
// Configuration: lines of tab-separated cells.
//   row <name>                 prefix of every line that is logged
//   period <milliseconds>      the timer's
//   <callback> <step> <step>   what the callback does when it is called the first time, the second time, ...; the last
//                              step is repeated (except on ticks). A step is a list of actions with spaces between.
// Actions, each of which logs what the host answered:
//   0 1 2 3 4                  the return value
//   reply:<status>             a local reply with that status, content-type application/json and body {"probe":1}
//   set:<name>=<value>         a property
//   get:<a.b.c> int:<a.b.c>    a property as text or as int64
//   header:<map>:<name>        a header value
//   replace:<map>:<name>=<v>   replaces a header
//   remove:<map>:<name>        removes a header
//   pairs:<map>                how many pairs there are
//   body                       the bytes of this callback; on a tick, of the request; on an http_call, of the response
//   size                       how many bytes the callback was told of
//   buffer:<id>                the bytes of a buffer
//   write:<text>               replaces the bytes of this callback
//   continue:<stream type>     goes on
//   arm                        lets the ticks that follow act, for this stream
//   effective                  makes the armed stream the effective context
//   call:<cluster>,<timeout>,<fault>   an HTTP call, POST /<cluster> with x-row: <name> and body {"record":1}; logs the
//                              status and the token. The fault, if any, is a header to leave out, or "garbage" for pairs
//                              that cannot be read
//   foreign:<name>,<hexadecimal>   a foreign function with these bytes as its argument; logs the status and, in
//                              hexadecimal, what it gives, or "untouched" when it has said nothing of a result
//   environ                    the environment variables, sorted: what both functions return, how many there are, the
//                              bytes that they take, and each without its NUL
//   trap
import {
  proxy_call_foreign_function,
  proxy_continue_stream,
  proxy_get_buffer_bytes,
  proxy_get_header_map_pairs,
  proxy_get_header_map_value,
  proxy_get_property,
  proxy_http_call,
  proxy_log,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
  proxy_send_local_response,
  proxy_set_buffer_bytes,
  proxy_set_effective_context,
  proxy_set_property,
  proxy_set_tick_period_milliseconds,
} from "./env";
import { environ_get, environ_sizes_get } from "./wasi_snapshot_preview1";

const INFO: u32 = 2;
const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const HTTP_CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;
const NO_BUFFER: u32 = 99;
const NO_GRPC_STATUS: u32 = 0xffffffff;
/** Where the host has not written a pointer or a length. */
const UNTOUCHED: u32 = 0xffffffff;

class Plugin {
  row: string = "";
  scripts: Map<string, string[]> = new Map();
  armed: u32 = 0;
}

const plugins = new Map<u32, Plugin>();
const roots = new Map<u32, u32>();
const calls = new Map<string, i32>();
/** Where the host writes a pointer, and behind it a length. */
const result = memory.data(8);

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(bytes: usize): usize {
  return heap.alloc(bytes);
}

export function proxy_on_context_create(context: u32, root: u32): void {
  if (root == 0) plugins.set(context, new Plugin());
  roots.set(context, root == 0 ? context : root);
}

export function proxy_on_vm_start(_root: u32, _bytes: u32): u32 {
  return 1;
}

export function proxy_on_configure(root: u32, bytes: u32): u32 {
  proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, bytes, result, result + 4);
  const plugin = plugins.get(root);
  const lines = given().split("\n");
  for (let i = 0; i < lines.length; i++) {
    const cells = lines[i].split("\t");
    const key = cells.shift();
    if (key == "row") plugin.row = cells[0];
    else if (key == "period") proxy_set_tick_period_milliseconds(u32(parseInt(cells[0], 10)));
    else plugin.scripts.set(key, cells);
  }
  return plugin.scripts.has("configure") ? run(root, "configure", NO_BUFFER, 0) : 1;
}

export function proxy_on_tick(root: u32): void {
  const plugin = plugins.get(root);
  if (plugin.armed == 0 || !plugin.scripts.has("tick")) return;
  const count = called(root, "tick");
  if (count >= plugin.scripts.get("tick").length) return;
  calls.set(`${root} tick`, count);
  say(root, "tick");
  run(root, "tick", REQUEST_BODY, u32.MAX_VALUE);
}

export function proxy_on_request_headers(context: u32, _count: u32, end: u32): u32 {
  say(context, `request_headers eos=${end}`);
  return run(context, "request_headers", NO_BUFFER, 0);
}

export function proxy_on_request_body(context: u32, size: u32, end: u32): u32 {
  say(context, `request_body ${size} eos=${end}`);
  return run(context, "request_body", REQUEST_BODY, size);
}

export function proxy_on_request_trailers(context: u32, count: u32): u32 {
  say(context, `request_trailers ${count}`);
  return run(context, "request_trailers", NO_BUFFER, 0);
}

export function proxy_on_response_headers(context: u32, _count: u32, end: u32): u32 {
  say(context, `response_headers eos=${end}`);
  return run(context, "response_headers", NO_BUFFER, 0);
}

export function proxy_on_response_body(context: u32, size: u32, end: u32): u32 {
  say(context, `response_body ${size} eos=${end}`);
  return run(context, "response_body", RESPONSE_BODY, size);
}

export function proxy_on_response_trailers(context: u32, count: u32): u32 {
  say(context, `response_trailers ${count}`);
  return run(context, "response_trailers", NO_BUFFER, 0);
}

export function proxy_on_http_call_response(root: u32, token: u32, headers: u32, size: u32, trailers: u32): void {
  say(root, `http_call ${token} headers=${headers} trailers=${trailers}`);
  run(root, "http_call", HTTP_CALL_RESPONSE_BODY, size);
}

export function proxy_on_log(context: u32): void {
  say(context, "log");
  run(context, "log", NO_BUFFER, 0);
}

export function proxy_on_done(context: u32): u32 {
  if (plugins.has(context)) return 1;
  say(context, "done");
  run(context, "done", NO_BUFFER, 0);
  return 1;
}

export function proxy_on_delete(context: u32): void {
  if (plugins.has(context)) return;
  say(context, "delete");
  run(context, "delete", NO_BUFFER, 0);
}

/** Runs the step that is due, and returns the callback's return value. */
function run(context: u32, callback: string, buffer: u32, size: u32): u32 {
  const plugin = plugins.get(roots.get(context));
  if (!plugin.scripts.has(callback)) return 0;
  const steps = plugin.scripts.get(callback);
  const count = called(context, callback);
  calls.set(`${context} ${callback}`, count + 1);
  const actions = steps[min(count, steps.length - 1)].split(" ");
  let value: u32 = 0;
  for (let i = 0; i < actions.length; i++) {
    const colon = actions[i].indexOf(":");
    const action = colon < 0 ? actions[i] : actions[i].substring(0, colon);
    const argument = colon < 0 ? "" : actions[i].substring(colon + 1);
    if (action.length == 1) value = u32(parseInt(action, 10));
    else act(context, plugin, action, argument, buffer, size);
  }
  return value;
}

function act(context: u32, plugin: Plugin, action: string, argument: string, buffer: u32, size: u32): void {
  if (action == "trap") unreachable();
  else if (action == "arm") plugin.armed = context;
  else if (action == "effective") say(context, `effective ${proxy_set_effective_context(plugin.armed)}`);
  else if (action == "continue") say(context, `continue ${proxy_continue_stream(u32(parseInt(argument, 10)))}`);
  else if (action == "reply") say(context, `reply ${reply(u32(parseInt(argument, 10)))}`);
  else if (action == "body") {
    const status = proxy_get_buffer_bytes(buffer, 0, size, result, result + 4);
    say(context, `body ${status} ${given()}`);
  } else if (action == "size") say(context, `size ${size}`);
  else if (action == "buffer") {
    const id = u32(parseInt(argument, 10));
    const status = proxy_get_buffer_bytes(id, 0, u32.MAX_VALUE, result, result + 4);
    say(context, `buffer ${id} ${status} ${status == 0 ? given() : ""}`);
  } else if (action == "call") {
    call(context, plugin.row, argument.split(","));
  } else if (action == "write") {
    const bytes = String.UTF8.encode(argument);
    say(context, `write ${proxy_set_buffer_bytes(buffer, 0, size, at(bytes), bytes.byteLength)}`);
  } else if (action == "foreign") foreign(context, argument.split(","));
  else if (action == "environ") environ(context);
  else if (action == "set") setProperty(context, argument);
  else if (action == "get" || action == "int") getProperty(context, argument, action == "int");
  else header(context, action, argument);
}

function reply(status: u32): u32 {
  const details = String.UTF8.encode("probe.reply");
  const body = String.UTF8.encode('{"probe":1}');
  const pairs = encodePairs(["content-type", "application/json"]);
  return proxy_send_local_response(
    status,
    at(details),
    details.byteLength,
    at(body),
    body.byteLength,
    at(pairs),
    pairs.byteLength,
    NO_GRPC_STATUS,
  );
}

function call(context: u32, row: string, argument: string[]): void {
  const cluster = String.UTF8.encode(argument[0]);
  const timeoutMs = u32(i32(parseInt(argument[1], 10)));
  const fault = argument.length > 2 ? argument[2] : "";
  const texts = [":method", "POST", ":path", `/${argument[0]}`, ":authority", "collector", "x-row", row];
  if (texts.includes(fault)) texts.splice(texts.indexOf(fault), 2);
  const pairs = encodePairs(texts);
  // One more pair is announced than there are.
  if (fault == "garbage") store<u32>(at(pairs), texts.length / 2 + 1);
  const body = String.UTF8.encode('{"record":1}');
  const status = proxy_http_call(
    at(cluster),
    cluster.byteLength,
    at(pairs),
    pairs.byteLength,
    at(body),
    body.byteLength,
    0,
    0,
    timeoutMs,
    result,
  );
  say(context, `call ${status} ${load<u32>(result)}`);
}

function foreign(context: u32, argument: string[]): void {
  const name = String.UTF8.encode(argument[0]);
  const args = new Uint8Array(argument[1].length / 2);
  for (let i = 0; i < args.length; i++) args[i] = u8(parseInt(argument[1].substr(2 * i, 2), 16));
  store<u32>(result, UNTOUCHED);
  store<u32>(result, UNTOUCHED, 4);
  const status = proxy_call_foreign_function(
    at(name),
    name.byteLength,
    args.dataStart,
    args.length,
    result,
    result + 4,
  );
  let shown = "untouched";
  if (load<u32>(result, 4) != UNTOUCHED) {
    shown = "";
    for (let i: u32 = 0; i < load<u32>(result, 4); i++) {
      shown += load<u8>(load<u32>(result) + i)
        .toString(16)
        .padStart(2, "0");
    }
  }
  say(context, `foreign ${status} ${shown}`);
}

function environ(context: u32): void {
  const sizes = environ_sizes_get(result, result + 4);
  const count = load<u32>(result);
  const bytes = load<u32>(result, 4);
  const addresses = heap.alloc(4 * count + 1);
  const texts = heap.alloc(bytes + 1);
  const got = environ_get(addresses, texts);
  const variables: string[] = [];
  for (let i: u32 = 0; i < count; i++) {
    variables.push(String.UTF8.decodeUnsafe(load<u32>(addresses + 4 * i), bytes, true));
  }
  say(context, `environ ${sizes} ${got} ${count} ${bytes} ${variables.sort().join("|")}`);
}

/** Names and values in turn as the host wants them: count, all lengths, then each text with a zero byte behind it. */
function encodePairs(texts: string[]): ArrayBuffer {
  let bytes = 4;
  for (let i = 0; i < texts.length; i++) bytes += 4 + String.UTF8.byteLength(texts[i]) + 1;
  const pairs = new ArrayBuffer(bytes);
  store<u32>(at(pairs), texts.length / 2);
  let text = at(pairs) + 4 + 4 * texts.length;
  for (let i = 0; i < texts.length; i++) {
    const encoded = String.UTF8.encode(texts[i]);
    store<u32>(at(pairs) + 4 + 4 * i, encoded.byteLength);
    memory.copy(text, at(encoded), encoded.byteLength);
    text += encoded.byteLength + 1;
  }
  return pairs;
}

function setProperty(context: u32, argument: string): void {
  const equals = argument.indexOf("=");
  const name = String.UTF8.encode(argument.substring(0, equals));
  const value = String.UTF8.encode(argument.substring(equals + 1));
  say(context, `set ${proxy_set_property(at(name), name.byteLength, at(value), value.byteLength)}`);
}

function getProperty(context: u32, path: string, isNumber: bool): void {
  const bytes = String.UTF8.encode(path.split(".").join("\0"));
  const status = proxy_get_property(at(bytes), bytes.byteLength, result, result + 4);
  let value = "";
  if (status == 0) value = isNumber ? load<i64>(load<usize>(result)).toString() : given();
  say(context, `get ${path} ${status} ${value}`);
}

function header(context: u32, action: string, argument: string): void {
  const map = u32(parseInt(argument.substring(0, 1), 10));
  if (action == "pairs") {
    const status = proxy_get_header_map_pairs(map, result, result + 4);
    say(context, `pairs ${map} ${status} ${load<u32>(result + 4) > 0 ? "some" : "none"}`);
    return;
  }
  const equals = argument.indexOf("=");
  const text = argument.substring(2, equals < 0 ? argument.length : equals);
  const name = String.UTF8.encode(text);
  if (action == "remove") {
    say(context, `remove ${proxy_remove_header_map_value(map, at(name), name.byteLength)}`);
  } else if (action == "replace") {
    const value = String.UTF8.encode(argument.substring(equals + 1));
    const status = proxy_replace_header_map_value(map, at(name), name.byteLength, at(value), value.byteLength);
    say(context, `replace ${status}`);
  } else {
    const status = proxy_get_header_map_value(map, at(name), name.byteLength, result, result + 4);
    say(context, `header ${text} ${status} ${status == 0 ? given() : ""}`);
  }
}

/** How often a callback of a context has run. */
function called(context: u32, callback: string): i32 {
  const key = `${context} ${callback}`;
  return calls.has(key) ? calls.get(key) : 0;
}

function say(context: u32, text: string): void {
  const line = String.UTF8.encode(`probe ${plugins.get(roots.get(context)).row} ${text}`);
  proxy_log(INFO, at(line), line.byteLength);
}

/** The text that the host has just given. */
function given(): string {
  return String.UTF8.decodeUnsafe(load<usize>(result), load<usize>(result + 4));
}

function at(bytes: ArrayBuffer): usize {
  return changetype<usize>(bytes);
}

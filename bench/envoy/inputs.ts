// What the clients send and what the server answers in the benchmark of whole requests.

/** A `tools/call` of `bytes` bytes, its argument made of `unit` again and again. */
function call(tool: string, bytes: number, before: string, unit: string, separator: string, after: string): Buffer {
  const start = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}","arguments":{"value":${before}`;
  const end = `${after}}}}`;
  const room = bytes - Buffer.byteLength(start) - Buffer.byteLength(end);
  const count = Math.max(1, Math.floor((room + separator.length) / Buffer.byteLength(unit + separator)));
  const text = start + Array.from({ length: count }, () => unit).join(separator) + end;
  // White space behind the message, so that every shape has the same length.
  return Buffer.from(text + " ".repeat(Math.max(0, bytes - Buffer.byteLength(text))));
}

export const SHAPES = {
  "small members": (tool: string, bytes: number) =>
    call(tool, bytes, "[", '{"id":12345,"name":"a small one","tags":["x","yz"],"ok":true}', ",", "]"),
  "ASCII string": (tool: string, bytes: number) =>
    call(tool, bytes, '"', "The quick brown fox jumps over the lazy dog. ", "", '"'),
  "multi-byte string": (tool: string, bytes: number) =>
    call(tool, bytes, '"', "\u5929\u5730\u7384\u9ec4\u5b87\u5b99\u6d2a\u8352\u65e5\u6708", "", '"'),
  "escaped string": (tool: string, bytes: number) =>
    call(tool, bytes, '"', String.raw`say \"yes\" C:\\\n\tcaf\u00e9 \ud83d\ude00 `, "", '"'),
} as const;
export type Shape = keyof typeof SHAPES;

/** The smallest body: one call as an agent makes it. */
export const SMALL = (tool: string): Buffer =>
  Buffer.from(
    `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"${tool}","arguments":{"query":"repo:octo/hello language:ts streaming parser","page":1,"per_page":30},"_meta":{"progressToken":17}}}`,
  );

const tool = (name: string): object => ({
  name,
  title: `The tool ${name}`,
  description: "Searches what it is told to search, and says what it has found there and how long it took. ".repeat(2),
  inputSchema: {
    type: "object",
    properties: {
      query: { type: "string", description: "What to look for" },
      page: { type: "integer", minimum: 1, description: "Which page of what was found" },
      per_page: { type: "integer", minimum: 1, maximum: 100 },
    },
    required: ["query"],
  },
  annotations: { readOnlyHint: true, openWorldHint: false },
});

/** A list of tools, every second of which is listed. */
const toolList = (count: number): string => {
  const tools = Array.from({ length: count }, (_, index) =>
    tool(index % 2 === 0 ? `listed_${index}` : `other_${index}`),
  );
  return JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools } });
};

const event = (text: string): string => `event: message\ndata: ${text}\n\n`;
const progress =
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":50,"total":100}}';

/** The answers of the server, by the path that asks for them. */
export const ANSWERS: Readonly<Record<string, { readonly type: string; readonly body: string }>> = {
  "/mcp": {
    type: "application/json",
    body: '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}',
  },
  "/list-50": { type: "application/json", body: toolList(50) },
  "/list-500": { type: "application/json", body: toolList(500) },
  "/list-50-events": { type: "text/event-stream", body: event(toolList(50)) },
  "/list-500-events": { type: "text/event-stream", body: event(toolList(500)) },
  "/result-1mb": {
    type: "application/json",
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      result: { content: [{ type: "text", text: "The quick brown fox jumps over the lazy dog. ".repeat(23_300) }] },
    }),
  },
  "/events-1000": { type: "text/event-stream", body: event(progress).repeat(1_000) },
};

export const LISTED: readonly string[] = ["safe", ...Array.from({ length: 250 }, (_, index) => `listed_${2 * index}`)];

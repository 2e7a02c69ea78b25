// Both generations of the official client behind one face, so that one suite asks both the same.
import {
  type CallToolRequest,
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
  ProtocolError,
  SdkHttpError,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport, StreamableHTTPError } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  McpError,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

const INFO = { name: "mcp-guard-test", version: "1.0.0" };
const ROOTS = { roots: [{ uri: "file:///a/root/of/the/client", name: "a root" }] };
const TIMEOUT_MS = 10_000;

/** What a tool call gave. */
export interface ToolOutcome {
  readonly text: string;
  readonly isError: boolean;
}

/** What a completion is for. */
export type CompletionRef = { type: "ref/prompt"; name: string } | { type: "ref/resource"; uri: string };

/** One connected client. */
export interface ClientSession {
  listTools(): Promise<string[]>;
  /** `onProgress` is called for each progress notification of this call. */
  callTool(name: string, input: Record<string, unknown>, onProgress?: (progress: number) => void): Promise<ToolOutcome>;
  listPrompts(): Promise<unknown>;
  getPrompt(name: string, input?: Record<string, string>): Promise<unknown>;
  listResources(): Promise<unknown>;
  listResourceTemplates(): Promise<unknown>;
  readResource(uri: string): Promise<unknown>;
  subscribeResource(uri: string): Promise<unknown>;
  unsubscribeResource(uri: string): Promise<unknown>;
  /** Opens a stream of updates of these resources, which only the modern revision has; gives what ends it. */
  listen(uris: string[]): Promise<() => Promise<void>>;
  complete(ref: CompletionRef, name: string, value: string): Promise<unknown>;
  request(method: string): Promise<unknown>;
  setLoggingLevel(): Promise<unknown>;
  ping(): Promise<unknown>;
  /** The log messages that the server has sent on its own, outside of any call. */
  readonly logMessages: readonly unknown[];
  /** The resources of which the server has told an update. */
  readonly updates: readonly string[];
  close(): Promise<void>;
}

/** A way of being a client. */
export interface Generation {
  readonly name: string;
  /** Whether it talks the revision 2026-07-28. */
  readonly isModern: boolean;
  connect(url: URL): Promise<ClientSession>;
}

export const FIRST_GENERATION: Generation = {
  name: "sdk 1.x",
  isModern: false,
  async connect(url) {
    const client = new Client(INFO, { capabilities: { roots: {} } });
    const heard = emptyHeard();
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      heard.logMessages.push(params.data);
    });
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      heard.updates.push(params.uri);
    });
    client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
    const transport = new StreamableHTTPClientTransport(url);
    await client.connect(transport, { timeout: TIMEOUT_MS });
    const options = { timeout: TIMEOUT_MS };
    return {
      ...sessionOf(client, heard, async () => {
        await transport.terminateSession();
        await client.close();
      }),
      callTool: async (name, input, onProgress) =>
        outcomeOf(
          await client.callTool({ name, arguments: input }, undefined, {
            ...options,
            ...(onProgress && { onprogress: ({ progress }) => onProgress(progress) }),
          }),
        ),
      listen: () => Promise.reject(new Error("this client has no subscriptions/listen")),
      request: (method) => client.request({ method } as never, ANYTHING as never, options),
    };
  },
};

export const SECOND_GENERATION: Generation = second("client 2.x, legacy", false, "legacy");
export const SECOND_GENERATION_AUTO: Generation = second("client 2.x, choosing", false, "auto");
export const SECOND_GENERATION_MODERN: Generation = second("client 2.x, modern", true, { pin: "2026-07-28" });

/** What an attempt that failed has told the application. */
export interface Refusal {
  /** JSON-RPC code; undefined for an HTTP error that the client does not look into. */
  readonly code: number | undefined;
  /** HTTP status of such an error. */
  readonly status: number | undefined;
  readonly message: string;
  readonly data: unknown;
}

/** The refusal of an attempt that must fail. @throws Error when it succeeds, or fails in another way. */
export async function refusalOf(attempt: Promise<unknown>): Promise<Refusal> {
  try {
    const result = await attempt;
    throw new Error(`not refused: ${JSON.stringify(result)}`);
  } catch (error) {
    if (error instanceof McpError || error instanceof ProtocolError) {
      return { code: error.code, status: undefined, message: error.message, data: error.data };
    }
    if (error instanceof StreamableHTTPError) {
      return { code: undefined, status: error.code, message: error.message, data: undefined };
    }
    if (error instanceof SdkHttpError) {
      return { code: undefined, status: error.status, message: error.message, data: error.data };
    }
    throw error;
  }
}

function second(name: string, isModern: boolean, mode: "legacy" | "auto" | { pin: string }): Generation {
  return {
    name,
    isModern,
    async connect(url) {
      const client = new ModernClient(INFO, { capabilities: { roots: {} }, versionNegotiation: { mode } });
      const heard = emptyHeard();
      client.setNotificationHandler("notifications/message", ({ params }) => {
        heard.logMessages.push(params.data);
      });
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
        heard.updates.push(params.uri);
      });
      client.setRequestHandler("roots/list", () => ROOTS);
      const transport = new ModernTransport(url);
      await client.connect(transport, { timeout: TIMEOUT_MS });
      const options = { timeout: TIMEOUT_MS };
      return {
        ...sessionOf(client, heard, async () => {
          if (!isModern) await transport.terminateSession();
          await client.close();
        }),
        callTool: async (toolName, input, onProgress) => {
          const params = { name: toolName, arguments: input } as CallToolRequest["params"];
          return outcomeOf(
            await client.callTool(params, {
              ...options,
              ...(onProgress && { onprogress: ({ progress }) => onProgress(progress) }),
            }),
          );
        },
        listen: async (uris) => {
          const subscription = await client.listen({ resourceSubscriptions: uris }, options);
          return () => subscription.close();
        },
        request: (method) => client.request({ method }, ANYTHING as never, options),
      };
    },
  };
}

/** What the server has said on its own. */
interface Heard {
  readonly logMessages: unknown[];
  readonly updates: string[];
}

const emptyHeard = (): Heard => ({ logMessages: [], updates: [] });

/** What is called alike in both generations. */
function sessionOf(
  client: Client | ModernClient,
  heard: Heard,
  close: () => Promise<void>,
): Omit<ClientSession, "callTool" | "request" | "listen"> {
  const options = { timeout: TIMEOUT_MS };
  return {
    listTools: async () => (await client.listTools({}, options)).tools.map(({ name }) => name),
    listPrompts: () => client.listPrompts({}, options),
    getPrompt: (name, input = {}) => client.getPrompt({ name, arguments: input }, options),
    listResources: () => client.listResources({}, options),
    listResourceTemplates: () => client.listResourceTemplates({}, options),
    readResource: (uri) => client.readResource({ uri }, options),
    subscribeResource: (uri) => client.subscribeResource({ uri }, options),
    unsubscribeResource: (uri) => client.unsubscribeResource({ uri }, options),
    complete: (ref, name, value) => client.complete({ ref, argument: { name, value } }, options),
    setLoggingLevel: () => client.setLoggingLevel("debug", options),
    ping: () => client.ping(options),
    ...heard,
    close,
  };
}

/** A schema that takes every result, in the form that each generation understands. */
const ANYTHING = {
  parse: (value: unknown) => value,
  safeParse: (value: unknown) => ({ success: true, data: value }),
  "~standard": { version: 1, vendor: "mcp-guard-test", validate: (value: unknown) => ({ value }) },
};

function outcomeOf(result: object): ToolOutcome {
  const { content, isError } = result as { content?: { type: string; text?: string }[]; isError?: boolean };
  return { text: content?.map(({ text = "" }) => text).join("") ?? "", isError: isError === true };
}

// The tools of the conformance server. Their names, and what each must do, are the suite's: its scenarios call them by name.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import {
  acceptedContent,
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  type ContentBlock,
  createRequestStateCodec,
  type ElicitRequestFormParams,
  type InputRequests,
  type InputRequiredResult,
  inputRequired,
  type JsonSchemaType,
  type RequestId,
  type ServerContext,
} from "@modelcontextprotocol/server";

/** A PNG image of one pixel and a WAV sound of no length, in base64. */
export const IMAGE = {
  type: "image" as const,
  mimeType: "image/png",
  data: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC",
};
const SOUND = {
  type: "audio" as const,
  mimeType: "audio/wav",
  data: "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=",
};
const STEP_MS = 20;
const RECONNECTION_MS = 100;

type Result = CallToolResult | InputRequiredResult;

/** What a tool can do besides answering. */
export interface Surroundings {
  /** Says on the streams of `subscriptions/listen` that a list has changed. */
  announce(list: "tools" | "prompts"): void;
  /** Ends the stream on which a call of a session is to be answered: the client has to come back for the answer. */
  cutStream(sessionId: string, id: RequestId): void;
}

export interface FixtureTool {
  /** Default: an object without a word about its members. */
  readonly inputSchema?: JsonSchemaType;
  run(input: Record<string, unknown>, context: ServerContext, around: Surroundings): Promise<Result> | Result;
}

/**
 * The state of a call of several rounds goes out to the client and comes back, so it is sealed. The key lives as long as the
 * process: in the modern era each request has a server object of its own.
 */
export const requestStates = createRequestStateCodec<Record<string, unknown>>({
  key: crypto.getRandomValues(new Uint8Array(32)),
});

/** By name, in the order in which they are announced. */
export const TOOLS: Readonly<Record<string, FixtureTool>> = {
  test_simple_text: { run: () => answer("This is a simple text response for testing.") },
  test_image_content: { run: () => ({ content: [IMAGE] }) },
  test_audio_content: { run: () => ({ content: [SOUND] }) },
  test_embedded_resource: {
    run: () => ({ content: [embedded("test://embedded-resource", "text/plain", "An embedded resource.")] }),
  },
  test_multiple_content_types: {
    run: () => ({
      content: [
        text("Several kinds of content:"),
        IMAGE,
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
      ],
    }),
  },
  test_error_handling: {
    run: () => ({ content: [text("This tool intentionally returns an error for testing")], isError: true }),
  },
  test_tool_with_logging: {
    async run(_input, { mcpReq }) {
      for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
        await mcpReq.notify({ method: "notifications/message", params: { level: "info", data } });
        await pause(STEP_MS);
      }
      return answer("logged three times");
    },
  },
  test_tool_with_progress: {
    async run(_input, { mcpReq }) {
      const progressToken = mcpReq._meta?.progressToken;
      if (progressToken === undefined) return answer("nobody asked for progress");
      for (const progress of [0, 50, 100]) {
        await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
        await pause(STEP_MS);
      }
      return answer(`progress reported to ${progressToken}`);
    },
  },
  test_reconnection: {
    async run(_input, { mcpReq, sessionId }, around) {
      if (sessionId !== undefined) around.cutStream(sessionId, mcpReq.id);
      await pause(RECONNECTION_MS);
      return answer("the answer after a reconnection");
    },
  },
  json_schema_2020_12_tool: {
    inputSchema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: { type: "string" }, city: { type: "string" } },
        },
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" },
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false,
    },
    run: (input) => answer(JSON.stringify(input)),
  },
  test_x_mcp_header: {
    inputSchema: {
      type: "object",
      // The type of a schema does not know the extension.
      properties: { region: { type: "string", ...{ "x-mcp-header": "Region" } }, level: { type: "integer" } },
    },
    run: ({ region }) => answer(`region ${region}`),
  },

  // Questions in the legacy era: requests of the server.
  test_sampling: {
    inputSchema: { type: "object", properties: { prompt: { type: "string" } }, required: ["prompt"] },
    async run({ prompt }, { mcpReq }) {
      const sampled = await mcpReq.send({
        method: "sampling/createMessage",
        params: { messages: [{ role: "user", content: text(String(prompt)) }], maxTokens: 100 },
      });
      return answer(`LLM response: ${JSON.stringify(sampled.content)}`);
    },
  },
  test_elicitation: {
    inputSchema: { type: "object", properties: { message: { type: "string" } }, required: ["message"] },
    run: ({ message }, context) => elicit(context, String(message), { response: { type: "string" } }, ["response"]),
  },
  test_elicitation_sep1034_defaults: {
    run: (_input, context) =>
      elicit(context, "Fields with defaults", {
        name: { type: "string", default: "John Doe" },
        age: { type: "integer", default: 30 },
        score: { type: "number", default: 95.5 },
        status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
        verified: { type: "boolean", default: true },
      }),
  },
  test_elicitation_sep1330_enums: {
    run: (_input, context) =>
      elicit(context, "Every kind of choice", {
        untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
        titledSingle: { type: "string", oneOf: titled("value1", "value2", "value3") },
        legacyEnum: { type: "string", enum: ["opt1", "opt2"], enumNames: ["Option One", "Option Two"] },
        untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
        titledMulti: { type: "array", items: { anyOf: titled("value1", "value2", "value3") } },
      }),
  },

  // The modern era without state.
  test_missing_capability: {
    run: (_input, { mcpReq }) =>
      mcpReq.inputResponses?.llm_answer === undefined
        ? inputRequired({ inputRequests: { llm_answer: sampling("Reply with a word") } })
        : answer("sampled"),
  },
  test_streaming_elicitation: { run: () => answer("nothing is asked on this stream") },
  test_logging_tool: {
    async run(_input, { mcpReq }) {
      await mcpReq.log("info", "only for a request that wants it");
      return answer("logged");
    },
  },
  test_trigger_tool_change: {
    run(_input, _context, around) {
      around.announce("tools");
      return answer("announced");
    },
  },
  test_trigger_prompt_change: {
    run(_input, _context, around) {
      around.announce("prompts");
      return answer("announced");
    },
  },

  // Questions in the modern era: results that ask for input.
  test_input_required_result_elicitation: {
    run(_input, { mcpReq }) {
      const accepted = acceptedContent<{ name?: unknown }>(mcpReq.inputResponses, "user_name");
      if (typeof accepted?.name === "string") return answer(`Hello, ${accepted.name}!`);
      return inputRequired({ inputRequests: { user_name: question("What is your name?", "name") } });
    },
  },
  test_input_required_result_sampling: {
    run(_input, { mcpReq }) {
      const sampled = mcpReq.inputResponses?.capital_question;
      if (sampled !== undefined) return answer(`Sampling response: ${JSON.stringify(sampled)}`);
      return inputRequired({ inputRequests: { capital_question: sampling("What is the capital of France?") } });
    },
  },
  test_input_required_result_list_roots: {
    run(_input, { mcpReq }) {
      const listed = mcpReq.inputResponses?.client_roots;
      if (listed !== undefined) return answer(`Roots: ${JSON.stringify(listed)}`);
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    },
  },
  test_input_required_result_request_state: {
    async run(_input, { mcpReq }) {
      const isConfirmed = acceptedContent(mcpReq.inputResponses, "confirm") !== undefined;
      if (isConfirmed && mcpReq.requestState() !== undefined) return answer("state-ok");
      return inputRequired({ inputRequests: { confirm: confirmation() }, requestState: await sealed({}) });
    },
  },
  test_input_required_result_tampered_state: {
    async run(_input, { mcpReq }) {
      const isConfirmed = acceptedContent(mcpReq.inputResponses, "confirm") !== undefined;
      if (isConfirmed && mcpReq.requestState() !== undefined) return answer("integrity-ok");
      return inputRequired({ inputRequests: { confirm: confirmation() }, requestState: await sealed({}) });
    },
  },
  test_input_required_result_multiple_inputs: {
    async run(_input, { mcpReq }) {
      const wanted: InputRequests = {
        user_name: question("What is your name?", "name"),
        greeting: sampling("Generate a greeting"),
        client_roots: inputRequired.listRoots(),
      };
      const given = mcpReq.inputResponses;
      if (Object.keys(wanted).every((key) => given?.[key] !== undefined)) return answer("all three are there");
      return inputRequired({ inputRequests: wanted, requestState: await sealed({}) });
    },
  },
  test_input_required_result_multi_round: {
    async run(_input, { mcpReq }) {
      const state = mcpReq.requestState<{ round?: number; name?: string }>();
      if (state?.round === undefined) {
        return inputRequired({
          inputRequests: { step1: question("What is your name?", "name") },
          requestState: await sealed({ round: 1 }),
        });
      }
      if (state.round === 1) {
        const name = acceptedContent<{ name: string }>(mcpReq.inputResponses, "step1")?.name;
        return inputRequired({
          inputRequests: { step2: question("What is your favorite color?", "color") },
          requestState: await sealed({ round: 2, name }),
        });
      }
      const color = acceptedContent<{ color: string }>(mcpReq.inputResponses, "step2")?.color;
      return answer(`${state.name} likes ${color}`);
    },
  },
  test_input_required_result_capabilities: {
    run(_input, { mcpReq }) {
      const envelope = mcpReq.envelope as { [CLIENT_CAPABILITIES_META_KEY]?: ClientCapabilities } | undefined;
      const declared = envelope?.[CLIENT_CAPABILITIES_META_KEY];
      const inputRequests: InputRequests = {
        ...(declared?.elicitation && { user_name: question("What is your name?", "name") }),
        ...(declared?.sampling && { greeting: sampling("Generate a greeting") }),
        ...(declared?.roots && { client_roots: inputRequired.listRoots() }),
      };
      const isAskable = Object.keys(inputRequests).length > 0;
      return isAskable && mcpReq.inputResponses === undefined ? inputRequired({ inputRequests }) : answer("done");
    },
  },
};

/** A question with one answer of text, as a result asks it. */
export function question(message: string, member: string) {
  const properties = { [member]: { type: "string" as const } };
  return inputRequired.elicit({ message, requestedSchema: { type: "object", properties, required: [member] } });
}

function confirmation() {
  const properties = { ok: { type: "boolean" as const } };
  return inputRequired.elicit({
    message: "Please confirm",
    requestedSchema: { type: "object", properties, required: ["ok"] },
  });
}

function sampling(prompt: string) {
  return inputRequired.createMessage({ messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 });
}

/** No two states are alike. */
function sealed(state: Record<string, unknown>): Promise<string> {
  return requestStates.mint({ ...state, nonce: randomUUID() });
}

type Properties = ElicitRequestFormParams["requestedSchema"]["properties"];

async function elicit(
  { mcpReq }: ServerContext,
  message: string,
  properties: Properties,
  required: string[] = [],
): Promise<Result> {
  const elicited = await mcpReq.send({
    method: "elicitation/create",
    params: { message, requestedSchema: { type: "object", properties, required } },
  });
  return answer(`User response: ${JSON.stringify(elicited)}`);
}

function titled(...values: string[]): { const: string; title: string }[] {
  return values.map((value) => ({ const: value, title: `The ${value}` }));
}

function answer(words: string): CallToolResult {
  return { content: [text(words)] };
}

function text(words: string) {
  return { type: "text" as const, text: words };
}

function embedded(uri: string, mimeType: string, words: string): ContentBlock {
  return { type: "resource", resource: { uri, mimeType, text: words } };
}

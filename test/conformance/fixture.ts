// What the conformance server announces: the tools of tools.ts, prompts and resources, with the names that the suite asks for.
import {
  acceptedContent,
  fromJsonSchema,
  type GetPromptResult,
  inputRequired,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { IMAGE, question, requestStates, type Surroundings, TOOLS } from "./tools.ts";

/** A server object: one for a session of the legacy era, one for a request of the modern one. */
export function createFixture(around: Surroundings): McpServer {
  const listChanged = true;
  const fixture = new McpServer(
    { name: "conformance-server", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged },
        prompts: { listChanged },
        resources: { listChanged, subscribe: true },
        logging: {},
        completions: {},
      },
      requestState: { verify: requestStates.verify },
    },
  );
  for (const [name, { inputSchema = { type: "object" }, run }] of Object.entries(TOOLS)) {
    const config = { description: `The suite calls it: ${name}.`, inputSchema: fromJsonSchema(inputSchema) };
    fixture.registerTool(name, config, (input, context) => run(input as Record<string, unknown>, context, around));
  }
  registerPrompts(fixture);
  registerResources(fixture);

  const { server } = fixture;
  server.setRequestHandler("resources/subscribe", () => ({}));
  server.setRequestHandler("resources/unsubscribe", () => ({}));
  server.setRequestHandler("logging/setLevel", () => ({}));
  server.setRequestHandler("completion/complete", ({ params }) => ({
    completion: { values: [`${params.argument.value}-completed`], total: 1, hasMore: false },
  }));
  return fixture;
}

function registerPrompts(fixture: McpServer): void {
  fixture.registerPrompt("test_simple_prompt", { description: "Without arguments." }, () =>
    said({ type: "text", text: "This is a simple prompt for testing." }),
  );
  fixture.registerPrompt(
    "test_prompt_with_arguments",
    { description: "With two arguments.", argsSchema: strings<{ arg1: string; arg2: string }>("arg1", "arg2") },
    ({ arg1, arg2 }) => said({ type: "text", text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  );
  fixture.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "With a resource in it.", argsSchema: strings<{ resourceUri: string }>("resourceUri") },
    ({ resourceUri: uri }) =>
      said(
        { type: "resource", resource: { uri, mimeType: "text/plain", text: "An embedded resource." } },
        { type: "text", text: "Please look at the resource above." },
      ),
  );
  fixture.registerPrompt("test_prompt_with_image", { description: "With an image in it." }, () =>
    said(IMAGE, { type: "text", text: "Please look at the image above." }),
  );
  fixture.registerPrompt(
    "test_input_required_result_prompt",
    { description: "Asks for something first.", argsSchema: strings<object>() },
    (_input: object, { mcpReq }: ServerContext) => {
      const given = acceptedContent<{ context: string }>(mcpReq.inputResponses, "user_context")?.context;
      return given === undefined
        ? inputRequired({ inputRequests: { user_context: question("What context should be used?", "context") } })
        : said({ type: "text", text: `Use the following context: ${given}` });
    },
  );
}

function registerResources(fixture: McpServer): void {
  const texts = { "static-text": "The text of a resource.", "watched-resource": "What is watched." };
  for (const [name, text] of Object.entries(texts)) {
    const mimeType = "text/plain";
    fixture.registerResource(name, `test://${name}`, { mimeType }, ({ href: uri }) => ({
      contents: [{ uri, mimeType, text }],
    }));
  }
  const { mimeType, data: blob } = IMAGE;
  fixture.registerResource("static-binary", "test://static-binary", { mimeType }, ({ href: uri }) => ({
    contents: [{ uri, mimeType, blob }],
  }));
  const templates = { template: "test://template/{id}/data", "another-template": "test://another/{id}" };
  for (const [name, uriTemplate] of Object.entries(templates)) {
    const template = new ResourceTemplate(uriTemplate, { list: undefined });
    fixture.registerResource(name, template, { mimeType: "application/json" }, ({ href: uri }, { id }) => ({
      contents: [{ uri, mimeType: "application/json", text: JSON.stringify({ id, templateTest: true }) }],
    }));
  }
}

/** The schema of arguments that are all strings, and all needed. */
function strings<Shape>(...names: string[]) {
  const properties = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  return fromJsonSchema<Shape>({ type: "object", properties, required: names });
}

function said(...blocks: GetPromptResult["messages"][number]["content"][]): GetPromptResult {
  return { messages: blocks.map((content) => ({ role: "user", content })) };
}

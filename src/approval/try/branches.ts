// The branches of a repository, in memory, and the tools that do something with them: what the servers for trying have to lose.
import { type CallToolResult, ErrorCode, McpError, type Tool } from "@modelcontextprotocol/sdk/types.js";

const FIRST_BRANCHES = ["main", "release", "old-experiment"];

/** The tools; the last one is flagged by its name. */
export const BRANCH_TOOL_LIST: readonly Tool[] = [
  tool("list_branches", "Lists the branches.", {}),
  tool("create_branch", "Makes a branch.", { branch: { type: "string", description: "its name" } }),
  tool("delete_branch", "Deletes a branch for good.", {
    branch: { type: "string", description: "its name" },
    reason: { type: "string", description: "why, for whoever looks at it later" },
  }),
];

/** Makes a repository with a few branches, and gives what uses a tool on it. That throws `McpError` for a tool that there is not. */
export function createBranches(): (name: string, input: Record<string, unknown>) => CallToolResult {
  const branches = new Set(FIRST_BRANCHES);
  return (name, input) => {
    const branch = typeof input.branch === "string" ? input.branch : "";
    switch (name) {
      case "list_branches":
        return textResult([...branches].join(", "));
      case "create_branch":
        branches.add(branch);
        return textResult(`${branch} is there`);
      case "delete_branch":
        if (branches.delete(branch)) return textResult(`${branch} is deleted`);
        return { ...textResult(`no branch ${branch}`), isError: true };
      default:
        throw new McpError(ErrorCode.InvalidParams, `there is no tool ${name}`);
    }
  };
}

/** A result with one text. */
export function textResult(text: string): CallToolResult {
  return { content: [{ type: "text", text }] };
}

function tool(name: string, description: string, properties: Record<string, object>): Tool {
  const required = Object.keys(properties).filter((property) => property !== "reason");
  return { name, description, inputSchema: { type: "object", properties, required } };
}

"""A small server on the official SDK: two tools, two prompts, two folders of resources and their completions."""

import sys

from mcp.server.mcpserver import MCPServer
from mcp_types import Completion, ResourceTemplateReference

server = MCPServer("python-server", log_level="ERROR")


@server.tool()
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return f"{a} + {b} = {a + b}"


@server.tool()
def system_exec(command: str) -> str:
    """Not on any list."""
    return f"ran {command}"


@server.prompt()
def greet(name: str) -> str:
    """Greet someone."""
    return f"Say hello to {name}."


@server.prompt()
def secret() -> str:
    """Not on any list."""
    return "the secret prompt"


@server.resource("docs://guide/start")
def start() -> str:
    """A page of the guide."""
    return "how to start"


@server.resource("docs://guide/pages/{page}")
def page(page: str) -> str:
    """Any page of the guide."""
    return f"page {page}"


@server.resource("docs://private/{page}")
def private(page: str) -> str:
    """Under no root that is listed."""
    return f"private {page}"


@server.completion()
async def complete(ref, argument, context):
    kind = "page" if isinstance(ref, ResourceTemplateReference) else "name"
    return Completion(values=[f"{argument.value}-{kind}"])


server.run(transport="streamable-http", host="0.0.0.0", port=int(sys.argv[1]))

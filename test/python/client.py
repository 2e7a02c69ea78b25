"""The SDK's client as a program: a URL, a mode and calls in as JSON, what became of each out as JSON.

Each call is the name of a method of the client with its arguments; its outcome is `{"result": ...}` or `{"error": ...}`.
"""

import asyncio
import json
import sys

from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference


def arguments_of(given):
    ref = given.get("ref")
    if ref is None:
        return given
    kind = PromptReference if ref["type"] == "ref/prompt" else ResourceTemplateReference
    return {**given, "ref": kind(**ref)}


async def outcome_of(client, method, given):
    try:
        result = await getattr(client, method)(**arguments_of(given))
        return {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}
    except MCPError as error:
        return {"error": {"code": error.code, "message": error.message, "data": error.data}}


async def main():
    request = json.load(sys.stdin)
    async with Client(request["url"], mode=request["mode"]) as client:
        outcomes = [await outcome_of(client, *call) for call in request["calls"]]
    print(json.dumps(outcomes))


asyncio.run(main())

// Python's `json` as one more reader, if there is a Python: bodies in, what it would perform out, one JSON text a line.

import { spawnSync } from "node:child_process";

const SCRIPT = `
import base64, json, sys
for line in sys.stdin:
    try:
        message = json.loads(base64.b64decode(line))
        params = message.get("params", {})
        name = params.get("name") if isinstance(params, dict) else None
        result = [message.get("method"), name if isinstance(name, str) else None]
    except Exception:
        result = None
    print(json.dumps(result))
`;

/** Method and \`params.name\` of each body, null where it is no message; undefined when there is no Python. */
export function readInPython(
  bodies: readonly Uint8Array[],
): (readonly [method: string | null, name: string | null] | null)[] | undefined {
  const input = bodies.map((body) => `${Buffer.from(body).toString("base64")}\n`).join("");
  const { status, stdout, error } = spawnSync("python3", ["-c", SCRIPT], { input, maxBuffer: 1 << 28 });
  if (error !== undefined) return undefined;
  if (status !== 0) throw new Error(`python3 ended with ${status}`);
  return stdout
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

// Bodies for the tables: text is written as text, and bytes that are no text as arrays of bytes.

/** Joins texts (in UTF-8) and arrays of bytes to one body. */
export function bytes(...parts: readonly (string | readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part)))),
  );
}

/** `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + members + `}}`: the message of most vectors. */
export function call(...members: readonly (string | readonly number[])[]): Uint8Array {
  return bytes('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{', ...members, "}}");
}

/** A call of the listed tool with these members in its arguments. */
export function safeCall(...argumentMembers: readonly (string | readonly number[])[]): Uint8Array {
  return call('"name":"safe","arguments":{', ...argumentMembers, "}");
}

// Event streams (HTML standard, section 9.2), as far as a probe reads them: the data of the first event that has some.

/** The data of the first complete event with data; undefined while there is none. */
export function firstMessage(text: string): string | undefined {
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/);
  // What stands behind the last line end may go on.
  lines.pop();
  let data: string[] = [];
  for (const line of lines) {
    if (line === "") {
      const message = data.join("\n");
      if (message !== "") return message;
      data = [];
    } else if (line === "data" || line.startsWith("data:")) {
      data.push(line.slice(5).replace(/^ /, ""));
    }
  }
  return undefined;
}

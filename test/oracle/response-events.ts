// An event stream as the HTML standard reads it (section 9.2.6), on the whole text, in bytes: of each event its fields as
// they stand, before anything is decided about them.

/** One event. Texts are bytes as Latin-1, so that what is no UTF-8 stays what it is. */
export interface RawEvent {
  readonly event?: string;
  readonly id?: string;
  readonly retry?: string;
  /** The lines of `data`; absent when there is none. */
  readonly data?: readonly string[];
}

/** What fields may be to be taken over: any other one is as if it were not there. */
const ACCEPTS: Readonly<Record<"event" | "id" | "retry", (value: string) => boolean>> = {
  event: (value) => value.length <= 64,
  id: (value) => /^[ -~]{0,1024}$/.test(value),
  retry: (value) => /^[0-9]{1,10}$/.test(value),
};

/** The events of a whole stream, the unterminated last one included. */
export function readEvents(stream: Uint8Array): readonly RawEvent[] {
  const text = Buffer.from(stream)
    .toString("latin1")
    .replace(/^\xef\xbb\xbf/, "");
  const events: RawEvent[] = [];
  let fields: { event?: string; id?: string; retry?: string; data?: string[] } = {};
  const end = (): void => {
    if (Object.keys(fields).length > 0) events.push(fields);
    fields = {};
  };
  const lines = text.split(/\r\n|\r|\n/);
  for (const [i, line] of lines.entries()) {
    if (line === "") {
      end();
      continue;
    }
    const [, name = "", value = ""] = /^([^:]*)(?::\x20?)?(.*)$/s.exec(line)!;
    if (name === "data") fields.data = [...(fields.data ?? []), value];
    else if (name === "event" || name === "id" || name === "retry") {
      // Behind the last line end may stand a part of a value.
      if (i < lines.length - 1 && ACCEPTS[name](value)) fields[name] = value;
    }
  }
  end();
  return events;
}

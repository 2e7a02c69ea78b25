// The reader against written logs (test/fixtures/json/*.md), at every cut. Goal: verdict, offsets and events never depend
// on where the network cuts the text. Method: whole, one byte at a time, and every pair of chunks.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Harness, type Reading } from "./harness.ts";

interface Fixture {
  title: string;
  line: number;
  text: Buffer;
  log: string[];
}

const FOLDER = fileURLToPath(new URL("../fixtures/json/", import.meta.url));

/** The sections of a fixture file: `## title`, prose, a block `json` and a block `log`. */
function fixturesOf(file: string): Fixture[] {
  const fixtures: Fixture[] = [];
  const lines = readFileSync(`${FOLDER}${file}`, "utf8").split("\n");
  let title = "";
  let titleLine = 0;
  let text: string[] | undefined;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line.startsWith("## ")) {
      title = line.slice(3);
      titleLine = i + 1;
      text = undefined;
    } else if (line === "```json" || line === "```log") {
      const end = lines.indexOf("```", i + 1);
      if (end < 0) throw new Error(`${file}:${i + 1}: the block has no end`);
      const block = lines.slice(i + 1, end);
      if (line === "```json") text = block;
      else if (text !== undefined) {
        fixtures.push({ title, line: titleLine, text: Buffer.from(text.join("\n"), "utf8"), log: block });
      }
      i = end;
    }
  }
  return fixtures;
}

/** A reading in the form of the fixtures' logs. */
function logOf(reading: Reading): string[] {
  const lines = reading.events.map(({ token, start, end, text }) => {
    const shown = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
    return `${start}-${end} ${token}${text === "" ? "" : ` ${shown}`}`;
  });
  if (reading.error !== "none") lines.push(`error ${reading.error} at ${reading.offset}`);
  return lines;
}

const harness = new Harness();

describe.each(readdirSync(FOLDER).sort())("%s", (file) => {
  const fixtures = fixturesOf(file);
  it("has fixtures", () => expect(fixtures.length).toBeGreaterThan(0));
  it.each(fixtures.map((fixture) => [`${file}:${fixture.line} ${fixture.title}`, fixture] as const))(
    "%s",
    (_, fixture) => {
      expect(logOf(harness.read(fixture.text))).toEqual(fixture.log);
      expect(logOf(harness.readBytewise(fixture.text))).toEqual(fixture.log);
      for (let cut = 0; cut <= fixture.text.length; cut++) {
        expect(logOf(harness.read(fixture.text, [cut])), `cut before byte ${cut}`).toEqual(fixture.log);
      }
    },
  );
});

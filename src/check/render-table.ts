// A report for people.
import type { Span, Tone } from "../paint.ts";
import { type Answer, type Finding, isClean, type Report, type ServerReport, type Verdict } from "./report.ts";
import { INPUTS, QUESTIONS, type Question } from "./rule.ts";
import type { Place } from "./yaml-text.ts";

const TONES: Readonly<Record<Verdict, Tone>> = {
  yes: "good",
  no: "bad",
  "not checked": "open",
};
/** How the questions are numbered in the standard. */
const NUMBERS: Readonly<Record<Question, string>> = {
  schema: "1",
  identity: "2",
  egress: "3",
  approval: "4",
  trace: "5",
  caller: "L2",
};

/** `file:line`. */
export function placeText({ file, line }: Place): string {
  return `${file}:${line}`;
}

/** The lines of a report. */
export function renderTable(report: Report): Span[][] {
  return [
    ...report.servers.flatMap(serverLines),
    ...report.findings.flatMap(findingLines),
    ...(report.more > 0 ? [[{ text: `and ${report.more} more findings` }], []] : []),
    ...report.notices.map((notice): Span[] => [{ text: `note: ${notice}`, tone: "faint" }]),
    [{ text: summary(report), tone: isClean(report) ? "good" : "bad" }],
  ];
}

function serverLines({ name, deployment, place, answers }: ServerReport): Span[][] {
  const of = deployment === "" ? "" : `, with all of ${deployment}`;
  const lines = (Object.keys(QUESTIONS) as Question[]).flatMap((question) => answerLines(question, answers[question]));
  return [
    [
      { text: name, tone: "strong" },
      { text: `  ${placeText(place)}${of}`, tone: "faint" },
    ],
    ...lines,
    [],
  ];
}

function answerLines(question: Question, { verdict, note }: Answer): Span[][] {
  const line: Span[] = [
    { text: `  ${NUMBERS[question].padEnd(3)}${QUESTIONS[question]}  ` },
    { text: verdict, tone: TONES[verdict] },
  ];
  return note === "" ? [line] : [line, [{ text: `     ${note}`, tone: "faint" }]];
}

function findingLines({ rule, object, place, found, servers }: Finding): Span[][] {
  const concerned = servers.filter((name) => name !== object);
  return [
    [{ text: rule.id, tone: "bad" }, { text: `  ${object}  ` }, { text: placeText(place), tone: "strong" }],
    [{ text: `    ${found}` }],
    ...(concerned.length > 0 ? [[{ text: `    for   ${concerned.join(", ")}` }]] : []),
    [{ text: `    why   ${rule.why}` }],
    [{ text: `    mend  ${rule.mend}` }],
    [],
  ];
}

/** One line that says how it ended. */
export function summary({ servers, findings, more, open }: Report): string {
  if (servers.length === 0) return "found no MCP server: nothing was answered";
  const lacking = [...new Set(open.filter(({ isAccepted }) => !isAccepted).map(({ missing }) => missing))];
  const accepted = [...new Set(open.filter(({ isAccepted }) => isAccepted).map(({ missing }) => missing))];
  const parts = [
    count(servers.length, "MCP server"),
    findings.length === 0 ? "no findings" : count(findings.length + more, "finding"),
  ];
  if (lacking.length > 0)
    parts.push(`not answered for want of ${lacking.map((name) => `${name} (${INPUTS[name]})`).join(" and ")}`);
  if (accepted.length > 0) parts.push(`accepted as missing: ${accepted.join(", ")}`);
  return parts.join(", ");
}

function count(number: number, thing: string): string {
  return number === 1 ? `1 ${thing}` : `${number} ${thing}s`;
}

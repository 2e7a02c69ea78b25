// A report for programs: JSON of our own.
import type { Report } from "./report.ts";
import { QUESTIONS, type Question } from "./rule.ts";

/** The report as JSON. */
export function renderJson({ servers, findings, more, open, notices }: Report): string {
  const value = {
    servers: servers.map(({ name, deployment, place, answers }) => ({
      name,
      ...(deployment === "" ? {} : { deployment }),
      ...place,
      answers: (Object.keys(QUESTIONS) as Question[]).map((question) => ({
        question,
        text: QUESTIONS[question],
        answer: answers[question].verdict,
        ...(answers[question].note === "" ? {} : { note: answers[question].note }),
      })),
    })),
    findings: findings.map(({ rule, object, place, found, servers: concerned }) => ({
      rule: rule.id,
      questions: rule.questions,
      object,
      ...place,
      found,
      why: rule.why,
      mend: rule.mend,
      servers: concerned,
    })),
    more_findings: more,
    not_checked: open.map(({ rule, missing, why, server, isAccepted }) => ({
      rule: rule.id,
      questions: rule.questions,
      missing,
      why,
      server,
      accepted: isAccepted,
    })),
    notices,
  };
  return JSON.stringify(value, undefined, 2);
}

// Runs the rules, and answers the questions for each MCP server.
import { oneLine } from "../terminal.ts";
import type { Judge } from "./filter-verdict.ts";
import type { Deployment, Input } from "./input.ts";
import { objectName } from "./kube-object.ts";
import { FINDINGS_MAX } from "./limits.ts";
import {
  type Hit,
  INPUTS,
  type InputName,
  isUnanswered,
  QUESTIONS,
  type Question,
  type Rule,
  type WorldRule,
} from "./rule.ts";
import { RULES, WORLD_RULES } from "./rules/all.ts";
import { approvalNote } from "./rules/approval.ts";
import { credentialNote } from "./rules/identity.ts";
import { type Server, type World, worldOf } from "./world.ts";
import type { Place } from "./yaml-text.ts";

/** What is not as it should be, once, however many servers it concerns. */
export interface Finding extends Hit {
  rule: Rule | WorldRule;
  /** The servers that it concerns; none for what belongs to no server. */
  servers: string[];
}

/** What could not be looked at. */
export interface Open {
  rule: Rule | WorldRule;
  missing: InputName;
  why: string;
  server: string;
  place: Place;
  /** Whether `--allow-missing` has named the input. */
  isAccepted: boolean;
}

export type Verdict = "yes" | "no" | "not checked";

/** The answer to one question. */
export interface Answer {
  verdict: Verdict;
  /** What there is to add; may be empty. */
  note: string;
}

/** One MCP server with its answers. */
export interface ServerReport {
  name: string;
  /** The deployment that it is in; empty when there is only one. */
  deployment: string;
  place: Place;
  answers: Readonly<Record<Question, Answer>>;
}

/** All that `mcp-guard check` has to say. */
export interface Report {
  servers: readonly ServerReport[];
  findings: readonly Finding[];
  /** Findings beyond the bound of limits.ts. */
  more: number;
  open: readonly Open[];
  notices: readonly string[];
}

/** Letters of what was found, at most: names and images are the writer's to choose. */
const FOUND_LENGTH_MAX = 500;

/** What there is to add to a yes. */
const NOTES: Partial<Readonly<Record<Question, (server: Server) => string>>> = {
  identity: credentialNote,
  approval: ({ guards }) => approvalNote(guards.map(({ policy }) => policy)),
};

const QUESTION_ORDER = Object.keys(QUESTIONS) as Question[];

/**
 * Answers the questions for all deployments of an input.
 * @param accepted the inputs that may be missing.
 */
export function reportOn({ deployments, notices }: Input, judge: Judge, accepted: ReadonlySet<InputName>): Report {
  const collector = new Collector(accepted);
  const servers = deployments.flatMap((deployment) => collector.deployment(deployment, judge));
  return { servers, notices, ...collector.result() };
}

/** Whether there is nothing to complain of: the exit status of the command. */
export function isClean({ servers, findings, open }: Report): boolean {
  return servers.length > 0 && findings.length === 0 && open.every(({ isAccepted }) => isAccepted);
}

class Collector {
  private readonly accepted: ReadonlySet<InputName>;
  private readonly findings = new Map<string, Finding>();
  private more = 0;
  private readonly open = new Map<string, Open>();

  constructor(accepted: ReadonlySet<InputName>) {
    this.accepted = accepted;
  }

  result(): Pick<Report, "findings" | "more" | "open"> {
    const rank = ({ rule }: Finding): number => QUESTION_ORDER.indexOf(rule.questions[0]);
    const findings = [...this.findings.values()].sort(
      (a, b) =>
        rank(a) - rank(b) ||
        compare(a.place.file, b.place.file) ||
        a.place.line - b.place.line ||
        a.place.column - b.place.column,
    );
    return { findings, more: this.more, open: [...this.open.values()] };
  }

  deployment(deployment: Deployment, judge: Judge): ServerReport[] {
    const world = worldOf(deployment, judge);
    for (const rule of WORLD_RULES) for (const found of rule.check(world)) this.add(rule, found, undefined);
    return world.servers.map((server) => this.server(server, world, deployment.name));
  }

  private server(server: Server, world: World, deployment: string): ServerReport {
    const name = cut(oneLine(objectName(server.object)));
    const refuted = new Set<Question>();
    const missing = new Map<Question, Set<InputName>>();
    for (const rule of RULES) {
      for (const entry of rule.check(server, world)) {
        if (isUnanswered(entry)) {
          const isAccepted = this.accepted.has(entry.missing);
          this.open.set(JSON.stringify([rule.id, entry, name]), {
            rule,
            ...entry,
            server: name,
            place: server.object.at(),
            isAccepted,
          });
          for (const question of rule.questions)
            missing.set(question, (missing.get(question) ?? new Set()).add(entry.missing));
        } else {
          this.add(rule, entry, name);
          for (const question of rule.questions) refuted.add(question);
        }
      }
    }
    const answers = Object.fromEntries(
      QUESTION_ORDER.map((question) => [question, answer(question, server, refuted, missing)]),
    ) as Record<Question, Answer>;
    return { name, deployment, place: server.object.at(), answers };
  }

  private add(rule: Rule | WorldRule, found: Hit, server: string | undefined): void {
    const text = cut(oneLine(found.found));
    const key = JSON.stringify([rule.id, found.object, found.place, text]);
    const known = this.findings.get(key);
    if (known !== undefined) {
      if (server !== undefined && !known.servers.includes(server)) known.servers.push(server);
    } else if (this.findings.size < FINDINGS_MAX) {
      this.findings.set(key, {
        ...found,
        found: text,
        object: cut(oneLine(found.object)),
        rule,
        servers: server === undefined ? [] : [server],
      });
    } else {
      this.more++;
    }
  }
}

function answer(
  question: Question,
  server: Server,
  refuted: ReadonlySet<Question>,
  missing: ReadonlyMap<Question, ReadonlySet<InputName>>,
): Answer {
  if (refuted.has(question)) return { verdict: "no", note: "" };
  const inputs = [...(missing.get(question) ?? [])];
  if (inputs.length > 0)
    return { verdict: "not checked", note: `needs ${inputs.map((name) => INPUTS[name]).join(", and ")}` };
  return { verdict: "yes", note: NOTES[question]?.(server) ?? "" };
}

function cut(text: string): string {
  return text.length > FOUND_LENGTH_MAX ? `${text.slice(0, FOUND_LENGTH_MAX)}…` : text;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

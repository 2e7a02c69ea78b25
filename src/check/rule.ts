// What a rule is, and what it finds. Each rule is one entry in the list of its file; docs/check.md has a row for each, and a test keeps them equal.
import type { KubeObject } from "./kube-object.ts";
import { objectName } from "./kube-object.ts";
import type { Server, World } from "./world.ts";
import type { Path, Place } from "./yaml-text.ts";

/** The questions that are answered, in the order of the standard; `caller` is its layer 2. */
export const QUESTIONS = {
  schema: "Is the tool schema validated against an allowlist?",
  identity: "Does the service account follow least privilege?",
  egress: "Is egress restricted to the minimum?",
  approval: "Does high-risk tool execution require manual user approval?",
  trace: "Are all tool calls traceable to a specific human user id?",
  caller: "Layer 2: does only the gateway get in, named by its certificate?",
} as const;

export type Question = keyof typeof QUESTIONS;

/** Input that a question needs, and what to hand in. */
export const INPUTS = {
  role: "the role's Terraform: its *.tf with the values (*.tfvars, or the module that calls it), or a plan (terraform show -json)",
  "mesh-config": "Istio's mesh configuration: the ConfigMap istio of istio-system, or the Helm values with meshConfig",
} as const;

export type InputName = keyof typeof INPUTS;

/** One thing that is not as it should be. */
export interface Hit {
  /** What it is about: `Deployment ai-agents/github-mcp-server`. */
  object: string;
  place: Place;
  /** What was found, and what was expected. */
  found: string;
}

/** What a rule says when it cannot look. */
export interface Unanswered {
  missing: InputName;
  /** What could not be looked at. */
  why: string;
}

/** A rule about each server. */
export interface Rule {
  /** Stable: it stands in reports of others. */
  id: string;
  /** The questions that a finding answers with no; the first is the one that it is listed under. */
  questions: readonly [Question, ...Question[]];
  why: string;
  mend: string;
  check(server: Server, world: World): Iterable<Hit | Unanswered>;
}

/** A rule about the whole deployment, for what belongs to no server. */
export interface WorldRule extends Omit<Rule, "check"> {
  check(world: World): Iterable<Hit>;
}

/** A finding at a path of an object. */
export function hit(object: KubeObject, path: Path, found: string): Hit {
  return { object: objectName(object), place: object.at(path), found };
}

/** Whether an entry says that something could not be looked at. */
export function isUnanswered(entry: Hit | Unanswered): entry is Unanswered {
  return "missing" in entry;
}

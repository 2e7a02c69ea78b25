// schema/canonical-arguments.json, the vectors that the module, the library and the command all have to pass.
import { readFileSync } from "node:fs";
import type { CallFields } from "../../src/approval/digest.ts";
import { projectPath } from "../../src/project.ts";

/** A text, and its canonical text. */
interface CanonicalVector {
  readonly name: string;
  readonly input: string;
  /** The member of the root that is left out. */
  readonly without?: string;
  readonly canonical: string;
}

/** A text that has none. */
interface RefusedVector {
  readonly name: string;
  readonly input: string;
}

/** A call and its digest. */
interface DigestVector {
  readonly name: string;
  readonly call: Readonly<Record<Exclude<keyof CallFields, "inputResponses"> | "input_responses", string>>;
  readonly digest: string;
}

interface Vectors {
  readonly canonical: readonly CanonicalVector[];
  readonly refused: readonly RefusedVector[];
  readonly digests: readonly DigestVector[];
}

export const VECTORS = JSON.parse(readFileSync(projectPath("schema", "canonical-arguments.json"), "utf8")) as Vectors;

/** The fields of a vector's call. */
export function fieldsOf({ input_responses: inputResponses, ...call }: DigestVector["call"]): CallFields {
  return { ...call, inputResponses };
}

// A policy as the rules look at it: what has the type that a rule is about. Everything else is the filter's and the schema's to judge.
import type { Path } from "./finding.ts";

/** A text of a policy and its place. */
export interface Name {
  readonly text: string;
  readonly path: Path;
}

/** A value of a policy and what is below it. */
export class View {
  readonly value: unknown;
  readonly path: Path;

  constructor(value: unknown, path: Path = []) {
    this.value = value;
    this.path = path;
  }

  /** The value at members and indices below; its value is undefined when there is none. */
  at(...steps: Path): View {
    const value = steps.reduce<unknown>((inner, step) => {
      if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, step)) return undefined;
      return (inner as Record<string | number, unknown>)[step];
    }, this.value);
    return new View(value, [...this.path, ...steps]);
  }

  /** Whether it is there. */
  get isThere(): boolean {
    return this.value !== undefined;
  }

  /** The text that it is, or an empty one. */
  get text(): string {
    return typeof this.value === "string" ? this.value : "";
  }

  /** The number that it is, or `otherwise`. */
  number(otherwise: number): number {
    return typeof this.value === "number" ? this.value : otherwise;
  }

  /** The elements of the list that it is. */
  elements(): View[] {
    if (!Array.isArray(this.value)) return [];
    return this.value.map((element: unknown, index) => new View(element, [...this.path, index]));
  }

  /** The texts in the list that it is. */
  names(): Name[] {
    return this.elements().flatMap(({ value, path }) => (typeof value === "string" ? { text: value, path } : []));
  }
}

// What the filter itself says of a policy.
import { Filter } from "../policy/filter.ts";

/** Tells why the filter would refuse a policy; undefined when it would take it. */
export type Judge = (policy: unknown) => string | undefined;

/**
 * A judge that asks the filter once about each policy.
 * @param module the bytes of `build/plugin.wasm`.
 */
export function filterJudge(module: Uint8Array): Judge {
  const filter = new Filter(module);
  const known = new Map<string, string | undefined>();
  return (policy) => {
    const text = policy === undefined ? "" : JSON.stringify(policy);
    if (!known.has(text)) known.set(text, verdict(filter, text));
    return known.get(text);
  };
}

function verdict(filter: Filter, text: string): string | undefined {
  const refusal = filter.refusal(text);
  return refusal === undefined ? undefined : `${refusal.place}: ${refusal.words}`;
}

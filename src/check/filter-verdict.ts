// What the filter itself says of a policy: the compiled module in the Node host, as a proxy would start it.
import { Vm } from "../host/index.ts";

const REFUSED = "mcp-guard: configuration refused: ";

/** Tells why the filter would refuse a policy; undefined when it would take it. */
export type Judge = (policy: unknown) => string | undefined;

/**
 * A judge with the module of `build/plugin.wasm`. Each policy gets a VM of its own, so that none can spoil the next; equal ones are judged once.
 * @param module its bytes.
 */
export function filterJudge(module: Uint8Array): Judge {
  const known = new Map<string, string | undefined>();
  return (policy) => {
    const text = policy === undefined ? "" : JSON.stringify(policy);
    if (!known.has(text)) known.set(text, verdict(module, text));
    return known.get(text);
  };
}

function verdict(module: Uint8Array, text: string): string | undefined {
  const vm = Vm.load(module);
  if (vm.startPlugin(text).accepted) return undefined;
  const line = vm.logs.map(({ message }) => message).find((message) => message.startsWith(REFUSED));
  return line?.slice(REFUSED.length) ?? "the filter refuses the policy without a word";
}

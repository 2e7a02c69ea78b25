// Where a policy names variables of the VM's environment, which hold its secrets.

/** Paths of members from the policy's root. */
export const SECRET_MEMBERS: readonly (readonly [member: string, ...string[]])[] = [
  ["approval", "service", "secret_env"],
  ["token_exchange", "client", "secret_env"],
  ["token_exchange", "client", "key_env"],
  ["token_exchange", "actor", "token_env"],
];

/** Those of the guard's own credentials for the token service. */
export const TOKEN_SECRET_MEMBERS = SECRET_MEMBERS.filter(([member]) => member === "token_exchange");

/** What members say, whether or not it can be a variable's name; those that are absent are left out. */
export function valuesOf(policy: unknown, members: typeof SECRET_MEMBERS): unknown[] {
  return members.flatMap((path) => {
    let inner = policy;
    for (const step of path) {
      if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, step)) return [];
      inner = (inner as Record<string, unknown>)[step];
    }
    return [inner];
  });
}

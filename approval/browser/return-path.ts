// Where people are sent after a sign-in: to one of our own pages, from a closed list. Anything else would make us a springboard to other sites.

/** An approval's id as it stands in a path. */
export const APPROVAL_ID = /^[\w-]{22}$/;

const RETURN_PATH = /^\/(?:a\/[\w-]{22}|passkeys(?:\?for=[\w-]{22})?)?$/;

/** Whether `path` is the path of a page to which a sign-in may lead. */
export function isReturnPath(path: string): boolean {
  return RETURN_PATH.test(path);
}

/**
 * The path that begins a sign-in.
 * @param returnPath where it leads
 * @param fresh whether the provider is to ask for credentials even if it knows the person
 */
export function signInPath(returnPath: string, fresh = false): string {
  return `/sign-in?return=${encodeURIComponent(returnPath)}${fresh ? "&fresh=1" : ""}`;
}

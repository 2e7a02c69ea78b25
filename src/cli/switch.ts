// Environment variables that switch something on (make run APPROVAL=1).

/** Whether a variable switches its thing on; absent, empty and everything else do not. */
export function isSwitchedOn(value: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(value ?? "");
}

// What a credential looks like where it stands in plain text: by its name, and by its form whatever its name is.

/** Names of variables, keys and options that have credentials. */
const NAME =
  /(?:^|_)(?:TOKEN|SECRET|KEY|APIKEY|PASSWORD|PASSWD|PASSPHRASE|PAT|CREDENTIALS?)(?:_(?:VALUE|BASE64|B64|\d+))?$|^AWS_ACCESS_KEY_ID$/i;
/** Values that are credentials: keys of clouds, code hosts and model providers, tokens that are signed, private keys, URLs with a password. */
const VALUE =
  /^(?:AKIA|ASIA)[0-9A-Z]{16}$|^gh[pousr]_\w{20,}|^github_pat_\w{20,}|^glpat-[\w-]{20,}|^xox[abprs]-|^sk-[\w-]{20,}|^(?:Bearer )?eyJ[\w-]{6,}\.eyJ[\w-]{6,}\.[\w-]*$|-----BEGIN [A-Z ]*PRIVATE KEY|^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]*:[^/?#@\s]+@/;
/** A path of a file, or another variable: no credential itself. */
const REFERENCE = /^\/[\w./@-]*$|^\$[({]/;

/** Whether a value under this name is a credential. */
export function isCredential(name: string, value: string): boolean {
  return (isCredentialName(name) && value !== "" && !REFERENCE.test(value)) || hasCredentialForm(value);
}

/** Whether a name says that its value is a credential; `apiKey`, `api-key` and `API_KEY` are one name. */
export function isCredentialName(name: string): boolean {
  return NAME.test(name.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").replaceAll(/[.-]/g, "_"));
}

/** Whether a value is a credential by its form; of a text of several lines, whether a word in it is one. */
export function hasCredentialForm(value: string): boolean {
  return VALUE.test(value.trim()) || value.split(/[\s"',]+/).some((word) => VALUE.test(word));
}

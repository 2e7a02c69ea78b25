// The member `approval` in mode `required`, as tests use it.

/** Public keys of P-256 whose private halves nobody has kept. */
export const KEYS = {
  first:
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2nbksrNtLYvuKtopbjIhunSzvNeJw+tBpR/ZFPTl3KHTYuqrzcTQydIYUEif1O3En2QZ1pPATEgDuOg+pn0SMQ==",
  second:
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElpTsgZJEs3f4SjbYozah+fVXXE11dfaojPo9/6yFN/7cBAV9IlbGeRBxDCK4xVqWrgNLENqIP0DAW6BctHddmw==",
} as const;

/** Everything that has no default. */
export const REQUIRED = {
  mode: "required",
  server: "github-mcp-server",
  page: "https://approve.example.com/a/",
  service: { cluster: "approval", authority: "approval:8081" },
  keys: [{ kid: "2026-11", spki: KEYS.first }],
};

/** A private key of nothing: DER in base64, which is all that a configuration is asked for. */
const PRIVATE_KEY = "MAIFAA==";

/** Variables of the VM whose names the tests use for secrets, keys and tokens: a policy that names another one is refused. */
export const ENVIRONMENT: Readonly<Record<string, string>> = Object.fromEntries(
  [
    "MCP_GUARD_APPROVAL_SECRET",
    "SECRET",
    "A",
    "S",
    "_",
    "_1",
    "approval_secret2",
    "a".repeat(128),
    "S".repeat(128),
    "ACTOR_TOKEN",
    "CLIENT_SECRET",
    "CLIENT_KEY",
  ].map((name) => [name, name === "CLIENT_KEY" ? PRIVATE_KEY : "a-secret"]),
);

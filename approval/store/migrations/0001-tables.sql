-- Times are milliseconds since 1970. Keys of principals and users are SHA-256 of both their parts: an index has a bound on its entries, and
-- issuers and names may be longer.

-- Calls that wait, or have waited, for a human. `issuer` to `input_responses` is what the digest covers, `workload` excepted.
CREATE TABLE approvals (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  server TEXT NOT NULL,
  authority TEXT NOT NULL,
  path TEXT NOT NULL,
  issuer TEXT NOT NULL,
  principal TEXT NOT NULL,
  principal_key TEXT NOT NULL,
  workload TEXT NOT NULL,
  method TEXT NOT NULL,
  tool TEXT NOT NULL,
  arguments TEXT NOT NULL,
  task TEXT NOT NULL,
  input_responses TEXT NOT NULL,
  state TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  decided_at BIGINT,
  approver TEXT,
  reason TEXT,
  assertion TEXT,
  claimed_at BIGINT,
  nonce TEXT,
  receipt TEXT,
  CONSTRAINT approvals_state CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'claimed')),
  -- Nothing is approved without a signature, and nothing is claimed without a receipt.
  CONSTRAINT approvals_signed CHECK (
    state NOT IN ('approved', 'claimed') OR (assertion IS NOT NULL AND approver IS NOT NULL AND decided_at IS NOT NULL)
  ),
  CONSTRAINT approvals_claimed CHECK (
    (state = 'claimed') = (receipt IS NOT NULL) AND (state = 'claimed') = (nonce IS NOT NULL)
  )
);

-- One call has at most one approval that is under way.
CREATE UNIQUE INDEX approvals_under_way ON approvals (digest) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_digest ON approvals (digest);
CREATE INDEX approvals_principal ON approvals (principal_key, opened_at);
CREATE INDEX approvals_due ON approvals (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_opened ON approvals (opened_at, id);

-- What happened, in order, without gaps. The next migration makes it append-only.
CREATE TABLE history (
  sequence BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  approval_id TEXT NOT NULL,
  event TEXT NOT NULL,
  actor TEXT NOT NULL,
  detail TEXT NOT NULL,
  CONSTRAINT history_event CHECK (event IN ('opened', 'approved', 'denied', 'expired', 'claimed'))
);
CREATE INDEX history_approval ON history (approval_id, sequence);

CREATE TABLE sessions (
  id_hash TEXT PRIMARY KEY,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  claims TEXT NOT NULL,
  signed_in_at BIGINT NOT NULL,
  csrf_secret TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_due ON sessions (expires_at);

CREATE TABLE sign_ins (
  state_hash TEXT PRIMARY KEY,
  nonce TEXT NOT NULL,
  verifier TEXT NOT NULL,
  return_path TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sign_ins_due ON sign_ins (expires_at);

CREATE TABLE passkeys (
  credential_id TEXT PRIMARY KEY,
  public_key TEXT NOT NULL,
  counter BIGINT NOT NULL,
  transports TEXT NOT NULL,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  user_key TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT
);
CREATE INDEX passkeys_user ON passkeys (user_key, created_at);

CREATE TABLE challenges (
  hash TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  approval_id TEXT,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  nonce TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  CONSTRAINT challenges_kind CHECK (kind IN ('registration', 'assertion'))
);
CREATE INDEX challenges_due ON challenges (expires_at);

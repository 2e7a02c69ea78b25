// Every rule, in the order of the standard's questions.
import type { Rule, WorldRule } from "../rule.ts";
import { approvalRules } from "./approval.ts";
import { approvalServiceRules } from "./approval-service.ts";
import { callerRules } from "./caller.ts";
import { egressRules } from "./egress.ts";
import { identityRules } from "./identity.ts";
import { roleRules } from "./role.ts";
import { schemaRules, schemaWorldRules } from "./schema.ts";
import { tokenExchangeRules } from "./token-exchange.ts";
import { traceRules } from "./trace.ts";

export const RULES: readonly Rule[] = [
  ...schemaRules,
  ...identityRules,
  ...tokenExchangeRules,
  ...roleRules,
  ...egressRules,
  ...approvalRules,
  ...approvalServiceRules,
  ...traceRules,
  ...callerRules,
];

export const WORLD_RULES: readonly WorldRule[] = schemaWorldRules;

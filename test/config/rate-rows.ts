// Good and bad `rate_limit`.
import { bad, type ConfigurationRow, good, withMembers } from "./row.ts";

const RATE = { requests: 60, seconds: 60 };
const REQUESTS = "a whole number from 1 to 1000000";
const SECONDS = "a whole number from 1 to 3600";

const limit = (value: unknown): string => withMembers({ rate_limit: value });

/** All rows about `rate_limit`. */
export const RATES: readonly ConfigurationRow[] = [
  ...["per_principal", "per_tool"].flatMap((member) => [
    good(`a rate ${member}`, limit({ [member]: RATE })),
    good(`a burst ${member}`, limit({ [member]: { ...RATE, burst: 5 } })),
    good(`the least ${member}`, limit({ [member]: { requests: 1, seconds: 1, burst: 1 } })),
    good(`the most ${member}`, limit({ [member]: { requests: 1_000_000, seconds: 3600, burst: 1_000_000 } })),
    ...[
      ["requests", 0, REQUESTS],
      ["requests", 1_000_001, REQUESTS],
      ["burst", 0, REQUESTS],
      ["burst", 1_000_001, REQUESTS],
      ["seconds", 0, SECONDS],
      ["seconds", 3601, SECONDS],
      ["seconds", 0.5, SECONDS],
    ].map(([name, value, what]) =>
      bad(
        `${value} for ${member}.${name}`,
        limit({ [member]: { ...RATE, [String(name)]: value } }),
        `rate_limit.${member}.${name}: found the number ${value}, expected ${what}`,
      ),
    ),
    bad(
      `no requests ${member}`,
      limit({ [member]: { seconds: 1 } }),
      `rate_limit.${member}: found no requests, expected how many pass in the time`,
    ),
    bad(
      `no seconds ${member}`,
      limit({ [member]: { requests: 1, burst: 1 } }),
      `rate_limit.${member}: found no seconds, expected the time in which so many requests pass`,
    ),
    bad(
      `an unknown member of ${member}`,
      limit({ [member]: { ...RATE, minutes: 1 } }),
      `rate_limit.${member}: found the unknown member "minutes", expected one of requests seconds burst`,
    ),
    bad(
      `a number for ${member}`,
      limit({ [member]: 60 }),
      `rate_limit.${member}: found the number 60, expected an object with requests, seconds and burst`,
    ),
  ]),
  good("both rates", limit({ per_principal: RATE, per_tool: { ...RATE, burst: 100 } })),
  good(
    "a rate in another spelling",
    '{"tool_allowlist":[],"rate_limit":{"per_tool":{"seconds":6e1,"requests":1.0E+2}}}',
  ),
  bad("no rate", limit({}), "rate_limit: found neither per_principal nor per_tool, expected at least one of them"),
  bad(
    "a rate of another thing",
    limit({ per_user: RATE }),
    'rate_limit: found the unknown member "per_user", expected one of per_principal per_tool',
  ),
  bad("null for the rates", limit(null), "rate_limit: found null, expected an object with per_principal and per_tool"),
];

// The response side of an exchange. A reply of our own comes back through these callbacks on its way to the client, and a
// filter that held it would hold its own refusal for ever.

import { Action } from "../host/abi";
import { Exchange, Stage } from "./exchange";

/** `proxy_on_response_headers`. */
export function onResponseHeaders(exchange: Exchange): Action {
  // Anything that is not our own reply comes from the upstream, perhaps before the verdict: it has only seen headers.
  if (exchange.stage != Stage.Refused) exchange.upstreamAnswered = true;
  return Action.Continue;
}

// Contexts as they come and go: a root context is a guard, a stream context is an exchange.

import { endHold } from "./approval-turns";
import { countActive } from "./counters";
import { createExchange, deleteExchange, Exchange, exchangeOf } from "./exchange";
import { createGuard, deleteGuard, guardOf } from "./guard";
import { letGo } from "./held";
import { endReading } from "./reading";
import { endResponse } from "./response";
import { endTurn } from "./token-turns";

/** `proxy_on_context_create`: a guard when there is no parent, else an exchange of the guard `parentId`. */
export function createContext(contextId: u32, parentId: u32): void {
  if (parentId == 0) {
    createGuard(contextId);
    return;
  }
  const guard = guardOf(parentId);
  // Without a record every callback of the stream refuses.
  if (guard !== null && createExchange(contextId, guard) !== null) countActive(1);
}

/** `proxy_on_delete`: the last callback of a context. */
export function deleteContext(contextId: u32): void {
  const exchange: Exchange | null = exchangeOf(contextId);
  if (exchange !== null) {
    letGo(exchange);
    endHold(exchange);
    endTurn(exchange);
    endReading(exchange);
    endResponse(exchange);
    deleteExchange(exchange);
    countActive(-1);
    return;
  }
  const guard = guardOf(contextId);
  if (guard !== null) deleteGuard(guard);
}

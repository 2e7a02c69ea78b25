// The listeners of guards as `RigOptions.edit` gets them, and what stands in front of a guard on them.
import { type Bootstrap, type ConnectionManager, connectionManager, type Listener } from "../../src/envoy/bootstrap.ts";

type HttpFilter = ConnectionManager["http_filters"][number];

/** The listeners of these guards; of all when none is named. */
export function listenersOf(bootstrap: Bootstrap, guards?: readonly string[]): Listener[] {
  return bootstrap.static_resources.listeners.filter(({ name }) => guards?.includes(name) ?? true);
}

/** Puts an HTTP filter directly in front of the guard, behind those that were put there before. */
export function putBeforeGuard(listener: Listener, name: string, configuration: object): void {
  const filters = connectionManager(listener).http_filters;
  const guard = filters.findIndex((filter) => filter.name === "mcp-guard");
  filters.splice(guard, 0, { name, typed_config: configuration } as unknown as HttpFilter);
}

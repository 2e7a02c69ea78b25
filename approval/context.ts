// What every part of the service is given.
import type { Clock } from "./clock.ts";
import type { Metrics } from "./metrics.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store/store.ts";

export interface ServiceContext {
  settings: Settings;
  store: Store;
  clock: Clock;
  metrics: Metrics;
}

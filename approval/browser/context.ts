// What the browser's side of the service needs of the whole.
import type { ServiceContext } from "../context.ts";

export type BrowserContext = Pick<ServiceContext, "settings" | "store" | "clock" | "metrics">;

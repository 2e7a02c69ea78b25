// The drivers that the integration suites run on: both, unless `ENVOY_DRIVER=process` or `container` picks one.
import { containerDriver } from "./container.ts";
import type { EnvoyDriver } from "./driver.ts";
import { processDriver } from "./process.ts";

const all: readonly EnvoyDriver[] = [processDriver, containerDriver];
const wanted = process.env.ENVOY_DRIVER;

/** The chosen drivers, never none. */
export const drivers = all.filter((driver) => wanted === undefined || driver.name === wanted);

if (drivers.length === 0) throw new Error(`ENVOY_DRIVER=${wanted}: expected process or container`);

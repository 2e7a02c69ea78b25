// The drivers that the integration suites run on: both, unless `ENVOY_DRIVER=process` or `container` picks one.
import { testedVersions } from "../../versions.ts";
import { containerDriver } from "./container.ts";
import type { EnvoyDriver } from "./driver.ts";
import { processDriver } from "./process.ts";

const all: readonly EnvoyDriver[] = [processDriver, containerDriver];
const wanted = process.env.ENVOY_DRIVER;

/** The chosen drivers, never none. */
export const drivers = all.filter((driver) => wanted === undefined || driver.name === wanted);

if (drivers.length === 0) throw new Error(`ENVOY_DRIVER=${wanted}: expected process or container`);

/** A driver with one of the versions, and the driver's name for titles. */
export interface VersionRun {
  readonly driver: EnvoyDriver;
  readonly name: string;
  readonly version: string;
  readonly isNewest: boolean;
}

/** Each version as a process, and the newest one in a container too: what depends on both would show there. */
export function versionRuns(): VersionRun[] {
  const newest = testedVersions().at(-1);
  return drivers.flatMap((driver) =>
    testedVersions()
      .map((version) => ({ driver, name: driver.name, version, isNewest: version === newest }))
      .filter(({ isNewest }) => isNewest || driver === processDriver),
  );
}

// What was measured on.
import os from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly node: string;
  readonly envoy: string;
}

/** This machine. @param envoy the version of Envoy. */
export function describeMachine(envoy: string): Machine {
  return {
    cpu: os.cpus()[0]?.model ?? "unknown",
    cores: os.availableParallelism(),
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.arch()}`,
    node: process.versions.node,
    envoy,
  };
}

/** That in one line of a report. */
export function machineText({ cpu, cores, memoryGib, system, envoy, node }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGib} GiB, ${system}, Envoy ${envoy}, Node ${node}`;
}

// rsyslog as a node has it: it reads a log of Envoy's, line by line, and delivers each line at least once, whatever ends it.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { type Child, startChild } from "../../src/child.ts";
import { type Daemon, debianDaemon } from "../debian-program.ts";

/** Debian's rsyslog 8, unless RSYSLOGD names another. @throws ProgramUnavailableError in one sentence. */
export function rsyslogDaemon(): Promise<Daemon> {
  return debianDaemon({
    program: "rsyslogd",
    package: "rsyslog",
    libraries: ["libestr0", "libfastjson4", "liblognorm5"],
    environment: "RSYSLOGD",
    probe: ["-v"],
  });
}

/** What an rsyslog reads and writes. */
export interface Forwarding {
  /** A pattern: the log, and the names that it has after a rotation. */
  readonly logs: string;
  /** A folder of its own: the configuration, and how far it has read. */
  readonly folder: string;
  readonly sink: string;
}

/** Starts one. `process.kill` with `pid` ends it without a chance to write down where it is. */
export function startRsyslog(daemon: Daemon, forwarding: Forwarding): Promise<Child> {
  const configuration = path.join(forwarding.folder, "rsyslog.conf");
  writeFileSync(configuration, configurationOf(forwarding));
  const { env = {}, plugins } = daemon.unpacked ?? {};
  // In the foreground, without a file for its process id.
  const args = ["-n", "-f", configuration, "-i", "NONE", ...(plugins === undefined ? [] : ["-M", plugins])];
  return startChild(daemon.file, args, {
    stdio: "ignore",
    env: { ...process.env, ...env },
  });
}

function configurationOf({ logs, folder, sink }: Forwarding): string {
  return `
# A record has up to 16 KiB, and rsyslog cuts lines at 8 KiB by default.
global(workDirectory="${folder}" maxMessageSize="64k")
# Lines that wait in memory are lost with the process: each is written before the next one is read.
main_queue(queue.type="Direct")
# By inotify it can lose the new log of a rotation until it is started again ("wd already in wdmap").
module(load="imfile" mode="polling" pollingInterval="1")
template(name="line" type="string" string="%msg%\\n")
# The pattern has the rotated log as well: its end is read there.
input(type="imfile" file="${logs}" tag="mcp-guard" ruleset="forward" persistStateAfterSubmission="on")
ruleset(name="forward") {
  # A buffer in which a line has room: half a line is never written.
  action(type="omfile" file="${sink}" template="line" ioBufferSize="64k")
}
`;
}

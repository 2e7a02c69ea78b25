// rsyslog as a node has it: it reads a log of Envoy's, line by line, and delivers each line at least once, whatever ends it. And the one that it
// delivers to, elsewhere: a process that is killed while it writes a file can leave half a line there.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Child, startChild } from "../../src/child.ts";
import { type Daemon, debianDaemon } from "../debian-program.ts";
import { pause } from "../integration/wire.ts";

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

/** What an rsyslog of a node reads, and to which port of this machine it sends. */
export interface Forwarding {
  /** A pattern: the log, and the names that it has after a rotation. */
  readonly logs: string;
  /** A folder of its own: the configuration, and how far it has read. */
  readonly folder: string;
  readonly port: number;
}

/** Starts that of a node. `process.kill` with `pid` ends it without a chance to write down where it is. */
export function startAgent(daemon: Daemon, forwarding: Forwarding): Promise<Child> {
  return startRsyslog(daemon, forwarding.folder, agentConfiguration(forwarding));
}

/** Starts the one to which nodes send; it writes to `sink`, and keeps its configuration in `folder`. Gives its port as well. */
export async function startReceiver(
  daemon: Daemon,
  folder: string,
  sink: string,
): Promise<{ receiver: Child; port: number }> {
  const portFile = path.join(folder, "port");
  const receiver = await startRsyslog(daemon, folder, receiverConfiguration(folder, portFile, sink));
  for (let waited = 0; waited < START_MS; waited += POLL_MS) {
    const port = existsSync(portFile) ? Number(readFileSync(portFile, "utf8")) : 0;
    if (port > 0) return { receiver, port };
    await pause(POLL_MS);
  }
  await receiver.stop();
  throw new Error(`rsyslogd: no port in ${portFile} after ${START_MS} ms`);
}

const START_MS = 10_000;
const POLL_MS = 20;

function startRsyslog(daemon: Daemon, folder: string, text: string): Promise<Child> {
  const configuration = path.join(folder, "rsyslog.conf");
  writeFileSync(configuration, text);
  const { env = {}, plugins } = daemon.unpacked ?? {};
  // In the foreground, without a file for its process id.
  const args = ["-n", "-f", configuration, "-i", "NONE", ...(plugins === undefined ? [] : ["-M", plugins])];
  return startChild(daemon.file, args, {
    stdio: "ignore",
    env: { ...process.env, ...env },
  });
}

function agentConfiguration({ logs, folder, port }: Forwarding): string {
  return `
# A record has up to 16 KiB, and rsyslog cuts lines at 8 KiB by default.
global(workDirectory="${folder}" maxMessageSize="64k")
# Lines that wait in memory are lost with the process: each is sent before the next one is read.
main_queue(queue.type="Direct")
# By inotify it can lose the new log of a rotation until it is started again ("wd already in wdmap").
module(load="imfile" mode="polling" pollingInterval="1")
template(name="line" type="string" string="%msg%")
# The pattern has the rotated log as well: its end is read there.
input(type="imfile" file="${logs}" tag="mcp-guard" ruleset="forward" persistStateAfterSubmission="on")
ruleset(name="forward") {
  # RFC 6587 section 3.4.1: of a frame that says how long it is, a receiver never takes a half.
  action(type="omfwd" target="127.0.0.1" port="${port}" protocol="tcp" TCP_Framing="octet-counted" template="line"
    action.resumeRetryCount="-1" action.resumeInterval="1")
}
`;
}

function receiverConfiguration(folder: string, portFile: string, sink: string): string {
  return `
global(workDirectory="${folder}" maxMessageSize="64k")
module(load="imtcp")
template(name="line" type="string" string="%rawmsg%\\n")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="${portFile}" ruleset="store")
ruleset(name="store" queue.type="Direct") {
  action(type="omfile" file="${sink}" template="line")
}
`;
}

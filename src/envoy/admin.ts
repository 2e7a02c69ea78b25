// What is read from Envoy's admin interface, the same for a process and a container.

/** Counters and gauges whose name matches `filter` (RE2 syntax, all when absent), by name. Histograms are left out. */
export async function fetchStats(adminUrl: string, filter?: string): Promise<Map<string, number>> {
  const query = filter === undefined ? "" : `?filter=${encodeURIComponent(filter)}`;
  const text = await fetchText(`${adminUrl}/stats${query}`);
  const stats = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name, value] = /^(.+): (\d+)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) stats.set(name, Number(value));
  }
  return stats;
}

/** The port of each TCP listener, by listener name. */
export async function fetchListenerPorts(adminUrl: string): Promise<Map<string, number>> {
  const body = JSON.parse(await fetchText(`${adminUrl}/listeners?format=json`)) as ListenerList;
  const ports = new Map<string, number>();
  for (const listener of body.listener_statuses ?? []) {
    const port = listener.local_address?.socket_address?.port_value;
    if (port !== undefined) ports.set(listener.name, port);
  }
  return ports;
}

/** The version as `1.40.0`. */
export async function fetchVersion(adminUrl: string): Promise<string> {
  const info = JSON.parse(await fetchText(`${adminUrl}/server_info`)) as { version: string };
  // "<commit>/1.40.0/Clean/RELEASE/BoringSSL"
  return info.version.split("/")[1] ?? info.version;
}

interface ListenerList {
  listener_statuses?: { name: string; local_address?: { socket_address?: { port_value?: number } } }[];
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.text();
}

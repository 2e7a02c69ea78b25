// Runs the rows on the Node host.
import { beforeAll, describe, expect, it } from "vitest";
import { type HttpCall, type HttpStream, type Plugin, Vm } from "../../src/host/index.ts";
import { buildProbe } from "./build-probe.ts";
import {
  CALL_ANSWER,
  type ClusterName,
  contentLength,
  headersEndRequest,
  type Outcome,
  probeConfiguration,
  type Row,
  SERVED_CLUSTERS,
  SERVER_ANSWER,
} from "./row.ts";
import { ROWS } from "./rows.ts";

let probe: Uint8Array;
beforeAll(async () => {
  probe = await buildProbe();
});

describe("the Node host does what Envoy does", () => {
  it.each(ROWS.map((row) => [row.name, row] as const))("%s", (_name, row) => {
    expect(run(row)).toEqual(row.expect);
  });
});

function run(row: Row): Outcome {
  const { headersStop = false, bufferLimitBytes, direction = 1, environment = {} } = row.listener ?? {};
  const vm = Vm.load(probe, {
    listenerDirection: direction,
    environment,
    clusters: [...SERVED_CLUSTERS, "refuses"],
    fullClusters: ["empty", "full"],
  });
  const plugin = vm.startPlugin(probeConfiguration(row, "row"));
  expect(plugin.accepted).toBe(true);
  const stream = plugin.openStream({
    headersStop,
    protocol: row.request.protocol ?? "h1",
    ...(bufferLimitBytes === undefined ? {} : { requestBufferLimit: bufferLimitBytes }),
  });
  const answer = serverFor(row, stream);
  const called = callsOf(plugin);

  stream.requestHeaders(requestHeaders(row), headersEndRequest(row));
  answer();
  for (const action of row.client ?? []) {
    if ("body" in action) stream.requestBody(action.body, false);
    else if ("end" in action) stream.requestEnd();
    else if ("disconnect" in action) stream.clientGone();
    else if ("tick" in action) plugin.tick();
    else if ("called" in action) endCall(action.called, called());
    else if ("serverHas" in action) expect(serverView(stream)).toEqual(action.serverHas);
    else if (row.listener?.trailers || row.request.protocol === "h2") stream.requestTrailers(action.trailers);
    else stream.requestEnd();
    answer();
  }
  // A client that has waited long enough goes away.
  if (stream.downstream.status === undefined) stream.clientGone();

  return {
    calls: vm.logs.map((line) => line.message.replace("probe row ", "")),
    client: clientView(stream),
    server: serverView(stream),
    ...calledView(called()),
    log: stream.finished ? logView(stream) : "missing",
  };
}

function requestHeaders(row: Row): [string, string][] {
  const { method = "POST", framing, headers = [] } = row.request;
  return [
    [":method", method],
    [":path", "/probe"],
    [":scheme", "http"],
    [":authority", "probe"],
    ...headers.map(([name, value]): [string, string] => [name, value]),
    ...(framing === "length" ? [["content-length", String(contentLength(row))] as [string, string]] : []),
  ];
}

/** Answers once, as soon as the row's server would. */
function serverFor(row: Row, stream: HttpStream): () => void {
  let answered = false;
  return () => {
    const { headers, ended } = stream.upstream;
    const due = row.serverAnswersAt === "headers" ? headers !== undefined : ended;
    if (answered || !due) return;
    answered = true;
    const { status, contentType, body } = SERVER_ANSWER;
    const length = String(body.length);
    stream.responseHeaders({ ":status": `${status}`, "content-type": contentType, "content-length": length }, false);
    stream.responseBody(body, false);
    stream.responseBody("", true);
  };
}

/** Every call that the plugin has made so far, those that have ended included. */
function callsOf(plugin: Plugin): () => readonly HttpCall[] {
  const calls: HttpCall[] = [];
  return () => {
    calls.push(...plugin.httpCalls.filter((call) => !calls.includes(call)));
    return calls;
  };
}

function endCall(cluster: ClusterName, calls: readonly HttpCall[]): void {
  const call = calls.find((one) => one.cluster === cluster && !one.ended)!;
  const { status, headers, body } = CALL_ANSWER;
  // With what Envoy and the server of the suite add.
  const added = { "x-envoy-upstream-service-time": "1", connection: "keep-alive" };
  if (cluster === "answers") {
    call.answer({ status, headers: { ...headers, ...added, "content-length": `${body.length}` }, body });
  } else if (cluster === "trails") {
    const framing = { trailer: "x-trailer", "transfer-encoding": "chunked" };
    call.answer({ status, headers: { ...headers, ...added, ...framing }, body, trailers: { "x-trailer": "last" } });
  } else if (cluster === "sleeps") call.timeOut();
  else if (cluster === "cuts" || cluster === "stalls") call.cut();
  else if (cluster === "drops") call.drop();
  else call.refuse();
}

function calledView(calls: readonly HttpCall[]): Pick<Outcome, "called"> {
  const served = calls.filter(({ cluster }) => cluster !== "refuses");
  if (served.length === 0) return {};
  return {
    called: served.map(({ headers, body }) => `${headers.get(":method")} ${headers.get(":path")} ${body}`).toSorted(),
  };
}

function clientView({ downstream }: HttpStream): Outcome["client"] {
  if (downstream.status === undefined) return "waits";
  return {
    status: downstream.status,
    contentType: downstream.headers?.get("content-type") ?? "",
    body: downstream.body().toString(),
    cut: downstream.reset,
  };
}

function serverView({ upstream }: HttpStream): Outcome["server"] {
  return upstream.headers === undefined ? "nothing" : { body: upstream.body().toString(), ended: upstream.ended };
}

function logView(stream: HttpStream): Outcome["log"] {
  return {
    code: stream.responseCode,
    details: stream.codeDetails ?? "",
    property: stream.filterState.get("probe") ?? null,
  };
}

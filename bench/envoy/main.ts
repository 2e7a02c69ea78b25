// `make bench-envoy`: what the guard costs beside Envoy's own MCP filter, in CPU time of the worker thread per request. Writes
// bench/RESULTS.md and bench/results/envoy.json. `make bench-check` (BENCH_CHECK=1) compares with those instead. BENCH_ROUNDS (default 60), BENCH_SCENARIOS (a regular expression), for a shorter look that writes nothing.
import { fork } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { fetchVersion } from "../../src/envoy/admin.ts";
import { moduleTypes } from "../../src/host/module-types.ts";
import { projectPath } from "../../src/project.ts";
import { openLoad } from "./load.ts";
import { describeMachine } from "./machine.ts";
import { measureMemory } from "./memory.ts";
import { type BenchProxy, startProxy, type Variant } from "./proxy.ts";
import { type Measured, markdown, type Results } from "./report.ts";
import { type Round, runRounds } from "./rounds.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";
import { bootstrap, quantile, trimmedMean } from "./statistics.ts";

const ROUNDS_DEFAULT = 60;
/** Requests that every variant must have had at bodies of up to 2 KB. */
const REQUESTS_MIN = 100_000;
const SMALL_BYTES = 2_048;

const rounds = Number(process.env.BENCH_ROUNDS ?? ROUNDS_DEFAULT);
const wanted = new RegExp(process.env.BENCH_SCENARIOS ?? "");
const RECORDED = projectPath("bench", "results", "envoy.json");
const isCheck = process.env.BENCH_CHECK === "1";
/** A share of the native pair's CPU, or a part of a request's, may be larger than recorded by this factor. */
const WORSE_MAX = 1.15;
const isWhole = rounds >= ROUNDS_DEFAULT && process.env.BENCH_SCENARIOS === undefined;

await main();

async function main(): Promise<void> {
  const server = fork(new URL("upstream.js", import.meta.url));
  try {
    const port = await new Promise<number>((resolve) => server.once("message", (message) => resolve(Number(message))));
    const proxy = await startProxy(port);
    try {
      await measureAll(proxy, port);
    } finally {
      await proxy.envoy.stop();
    }
  } finally {
    server.disconnect();
  }
}

async function measureAll(proxy: BenchProxy, upstreamPort: number): Promise<void> {
  const measured: Measured[] = [];
  for (const scenario of SCENARIOS.filter(({ name, group }) => wanted.test(`${group}: ${name}`))) {
    const result = await measure(proxy, scenario);
    measured.push(result);
    const added = result.variants.map(
      ({ variant, added }) =>
        `${variant} ${added.value.toFixed(1)} [${added.low.toFixed(1)}, ${added.high.toFixed(1)}]`,
    );
    console.log(
      `${scenario.group}: ${scenario.name}: none ${result.baseMicroseconds.toFixed(1)} us; added: ${added.join("; ")}`,
    );
  }
  const module = readFileSync(projectPath("build", "plugin.wasm"));
  const results: Results = {
    machine: describeMachine(await fetchVersion(proxy.envoy.adminUrl)),
    rounds,
    moduleBytes: module.length,
    gzippedBytes: gzipSync(module, { level: 9 }).length,
    imports: moduleTypes(module).imports.size,
    memory: measureMemory(module),
    firstRequest: !isCheck && wanted.test("first request") ? await firstRequests(upstreamPort) : [],
    measured,
  };
  if (isCheck) {
    const worse = compare(JSON.parse(readFileSync(RECORDED, "utf8")) as Results, measured);
    for (const line of worse) console.error(line);
    if (worse.length > 0) process.exitCode = 1;
    else console.log(`not worse than recorded by more than ${((WORSE_MAX - 1) * 100).toFixed(0)} %`);
    return;
  }
  const page = markdown(results);
  if (!isWhole) {
    console.log(page);
    return;
  }
  mkdirSync(projectPath("bench", "results"), { recursive: true });
  writeFileSync(RECORDED, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(projectPath("bench", "RESULTS.md"), page);
}

/** What costs more than recorded, beyond what chance explains; other machines have other times, so only ratios are compared. */
function compare(recorded: Results, measured: readonly Measured[]): string[] {
  return measured.flatMap((now) => {
    const before = recorded.measured.find(({ name, group }) => name === now.name && group === now.group);
    return now.variants.flatMap((variant) => {
      const old = before?.variants.find((each) => each.variant === variant.variant);
      // Noise has no ratio, and the native pair is what is compared with.
      if (old === undefined || !variant.variant.startsWith("guard")) return [];
      const [found, known] =
        variant.ofNative !== undefined && old.ofNative !== undefined
          ? [variant.ofNative.low, old.ofNative.value]
          : [variant.added.low / now.baseMicroseconds, old.added.value / before!.baseMicroseconds];
      if (found <= known * WORSE_MAX) return [];
      return [
        `${now.group}: ${now.name}: ${variant.variant}: ${found.toFixed(2)} at least, recorded ${known.toFixed(2)}`,
      ];
    });
  });
}

async function measure(proxy: BenchProxy, scenario: Scenario): Promise<Measured> {
  const { variants, bytes } = scenario;
  const { seen, requests, latencies, answers } = await runRounds(proxy, {
    ...scenario,
    isEnough: (count, each) =>
      count >= rounds && (!isWhole || bytes > SMALL_BYTES || each.every((one) => one >= REQUESTS_MIN)),
  });
  const added = (variant: Variant) => (sample: readonly Round[]) =>
    trimmedMean(sample.map((round) => round[variant]! - round.none!));
  return {
    name: scenario.name,
    group: scenario.group,
    bytes,
    rounds: seen.length,
    baseMicroseconds: trimmedMean(seen.map((round) => round.none!)),
    variants: variants
      .filter((variant) => variant !== "none")
      .map((variant) => ({
        variant,
        requests: requests.get(variant)!,
        status: answers.get(variant)!.status,
        p99Ms: quantile(latencies.get(variant)!, 0.99),
        added: bootstrap(seen, added(variant)),
        ...(variants.includes("guard") &&
          variant.startsWith("guard, ") && {
            overGuard: bootstrap(seen, (sample) => trimmedMean(sample.map((round) => round[variant]! - round.guard!))),
          }),
        ...(variants.includes("native") &&
          variant !== "native" && {
            ofNative: bootstrap(seen, (sample) => added(variant)(sample) / added("native")(sample)),
          }),
      })),
  };
}

/** Milliseconds of the first and of the second request of a fresh Envoy, a few times. */
async function firstRequests(upstreamPort: number): Promise<{ first: number; second: number }[]> {
  const found = [];
  for (let times = 0; times < 5; times++) {
    const proxy = await startProxy(upstreamPort);
    const body = SCENARIOS[0]!.request.body;
    // A connection to the server first, through the listener without a filter.
    const warm = await openLoad(proxy.port("none"), "h1", 1, { path: "/mcp", body });
    const start = performance.now();
    const load = await openLoad(proxy.port("guard"), "h1", 1, { path: "/mcp", body });
    const between = performance.now();
    await load.once();
    found.push({ first: between - start, second: performance.now() - between });
    load.close();
    warm.close();
    await proxy.envoy.stop();
  }
  return found;
}

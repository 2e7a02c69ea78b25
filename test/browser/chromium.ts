// Brings the browser: `CHROMIUM=/path`, else the one of the package @sparticuz/chromium, unpacked once under `.cache/chromium/<version>/`.
import { execFile } from "node:child_process";
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createBrotliDecompress } from "node:zlib";
import { projectPath } from "../../src/project.ts";

const EXECUTABLE = 0o755;
const run = promisify(execFile);

/** A browser that can be started. */
export interface Chromium {
  readonly executable: string;
  /** What its environment needs besides the usual. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The browser. Needs no network and no privileges. Safe to call at the same time as another run.
 * @throws Error in one sentence when this machine cannot run it.
 */
export async function findChromium(): Promise<Chromium> {
  const chosen = process.env.CHROMIUM;
  if (chosen) {
    if (!existsSync(chosen)) throw new Error(`CHROMIUM=${chosen} is not there`);
    return { executable: chosen, env: {} };
  }
  const machine = `${process.platform}-${process.arch}`;
  if (machine !== "linux-x64") throw new Error(`the packaged browser is not for ${machine}: CHROMIUM=/path names one`);
  const folder = await unpacked();
  const executable = path.join(folder, "chromium");
  return { executable, env: { ...(await libraries(executable, folder)), ...(await fonts(folder)) } };
}

async function unpacked(): Promise<string> {
  const home = path.join(path.dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")), "..", "..");
  const manifest = JSON.parse(readFileSync(path.join(home, "package.json"), "utf8")) as { version: string };
  const folder = projectPath(".cache", "chromium", manifest.version);
  if (existsSync(folder)) return folder;
  mkdirSync(path.dirname(folder), { recursive: true });
  // Renamed into place at the end: an interrupted run never leaves half a browser under the final name.
  const work = mkdtempSync(`${folder}-`);
  try {
    const part = (name: string) => path.join(home, "bin", `${name}.br`);
    await decompress(part("chromium"), path.join(work, "chromium"));
    for (const archive of ["al2023.tar", "fonts.tar"]) {
      const tar = path.join(work, archive);
      await decompress(part(archive), tar);
      await run("tar", ["--extract", "--no-same-owner", "--file", tar, "--directory", work]);
      rmSync(tar);
    }
    renameSync(work, folder);
  } catch (error) {
    // Another run was first.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

async function decompress(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to, { mode: EXECUTABLE }));
}

/** The package's copies of the libraries, where this machine lacks them. */
async function libraries(executable: string, folder: string): Promise<Record<string, string>> {
  const { stdout } = await run("ldd", [executable]);
  if (!stdout.includes("not found")) return {};
  const env = { LD_LIBRARY_PATH: path.join(folder, "lib") };
  const again = await run("ldd", [executable], { env: { ...process.env, ...env } });
  const missing = again.stdout.split("\n").filter((line) => line.includes("not found"));
  if (missing.length > 0)
    throw new Error(`the browser lacks libraries: ${missing.map((line) => line.trim()).join(", ")}`);
  return env;
}

/** The package's fonts, where this machine has none: without any a page has no text that could be looked at. */
async function fonts(folder: string): Promise<Record<string, string>> {
  const installed = ["/usr/share/fonts", "/usr/local/share/fonts"].some(
    (place) => existsSync(place) && readdirSync(place).length > 0,
  );
  if (installed) return {};
  const file = path.join(folder, "fonts-here.conf");
  const places = `<dir>${path.join(folder, "fonts")}</dir><cachedir>${path.join(folder, "fonts-cache")}</cachedir>`;
  writeFileSync(file, `<?xml version="1.0"?><fontconfig>${places}</fontconfig>\n`);
  return { FONTCONFIG_FILE: file };
}

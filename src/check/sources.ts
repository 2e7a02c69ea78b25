// The texts that `mcp-guard check` is asked about: files, folders with all that is below them, the standard input.
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import path from "node:path";
import { GuardError, systemErrorCode } from "../error.ts";
import { FILE_BYTES_MAX, FILES_MAX, FOLDER_ENTRIES_MAX, INPUT_BYTES_MAX } from "./limits.ts";

/** A text and what it is called in messages. */
export interface Source {
  file: string;
  text: string;
  /** Whether the command line names it; what only lies in a folder may be something else. */
  isNamed: boolean;
}

/** What was read, and what of the folders was not. */
export interface Sources {
  sources: Source[];
  /** Folders of Kustomize sources: patches are no whole objects, only what Kustomize renders is looked at. */
  kustomize: string[];
}

const STDIN = 0;
const KUSTOMIZATIONS = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
const ENDINGS = new Set([".yaml", ".yml", ".json", ".tf", ".tfvars"]);

/**
 * Reads what the names of a command line stand for. In a folder: `*.yaml`, `*.yml`, `*.json`, `*.tf` and `*.tfvars`, in the order of their names,
 * without what begins with a dot, links to folders, `node_modules`, and folders with a kustomization.
 * @param stdin the descriptor that - stands for.
 * @throws GuardError `ERR_USAGE` for what is not there, cannot be read, or is more than the bounds of limits.ts.
 */
export function readSources(names: readonly string[], stdin = STDIN): Sources {
  const walk = new Walk(stdin);
  for (const name of names) walk.add(name);
  return walk.found;
}

class Walk {
  readonly found: Sources = { sources: [], kustomize: [] };
  private readonly stdin: number;
  private bytes = 0;
  private entries = 0;
  private readonly seen = new Set<string>();

  constructor(stdin: number) {
    this.stdin = stdin;
  }

  add(name: string): void {
    if (name === "-") {
      this.read("stdin", this.stdin, true);
      return;
    }
    const isFolder = statSync(name, { throwIfNoEntry: false })?.isDirectory();
    if (isFolder === undefined) throw new GuardError("ERR_USAGE", `${name}: there is no such file or folder`);
    if (isFolder) this.folder(path.normalize(name));
    else this.open(path.normalize(name), true);
  }

  private folder(folder: string): void {
    const entries = this.entriesOf(folder);
    const isKustomize = entries.some((entry) => KUSTOMIZATIONS.includes(entry.name));
    if (isKustomize) this.found.kustomize.push(folder);
    for (const entry of entries) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const place = path.join(folder, entry.name);
      if (entry.isDirectory()) this.folder(place);
      else if (!isKustomize && ENDINGS.has(path.extname(entry.name)) && isFile(place)) this.open(place, false);
    }
  }

  private entriesOf(folder: string) {
    try {
      const entries = readdirSync(folder, { withFileTypes: true });
      this.entries += entries.length;
      if (this.entries > FOLDER_ENTRIES_MAX) {
        throw new GuardError(
          "ERR_USAGE",
          `${folder}: found more than ${FOLDER_ENTRIES_MAX} entries, expected a folder of manifests`,
        );
      }
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      throw unreadable(folder, error);
    }
  }

  private open(file: string, isNamed: boolean): void {
    if (this.seen.has(file)) return;
    this.seen.add(file);
    if (this.seen.size > FILES_MAX) {
      throw new GuardError("ERR_USAGE", `${file}: found more than ${FILES_MAX} files, expected a folder of manifests`);
    }
    let descriptor: number | undefined;
    try {
      descriptor = openSync(file, "r");
      this.read(file, descriptor, isNamed);
    } catch (error) {
      throw unreadable(file, error);
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }

  private read(file: string, descriptor: number, isNamed: boolean): void {
    const bytes = readAtMost(descriptor, FILE_BYTES_MAX + 1);
    if (bytes.length > FILE_BYTES_MAX) {
      throw new GuardError("ERR_USAGE", `${file}: found more than ${FILE_BYTES_MAX} bytes, expected a manifest`);
    }
    this.bytes += bytes.length;
    if (this.bytes > INPUT_BYTES_MAX) {
      throw new GuardError(
        "ERR_USAGE",
        `${file}: found more than ${INPUT_BYTES_MAX} bytes in all files together, expected fewer`,
      );
    }
    this.found.sources.push({ file, text: decode(bytes, file), isNamed });
  }
}

/** A file, or a link to one. */
function isFile(place: string): boolean {
  return statSync(place, { throwIfNoEntry: false })?.isFile() === true;
}

function readAtMost(descriptor: number, most: number): Buffer {
  const size = fstatSync(descriptor).size;
  const pieces: Buffer[] = [];
  let total = 0;
  while (total < most) {
    const piece = Buffer.allocUnsafe(Math.min(most - total, Math.max(size, 64 << 10)));
    const count = readSome(descriptor, piece);
    if (count === 0) break;
    pieces.push(piece.subarray(0, count));
    total += count;
  }
  return Buffer.concat(pieces);
}

function readSome(descriptor: number, into: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, into);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === "EOF") return 0;
      // A standard input that somebody has set to say that nothing has come yet.
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, 10);
    }
  }
}

function decode(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new GuardError("ERR_USAGE", `${file}: found bytes that are no UTF-8, expected a text`, { cause: error });
  }
}

function unreadable(file: string, error: unknown): unknown {
  if (error instanceof GuardError) return error;
  return new GuardError("ERR_USAGE", `${file}: cannot be read: ${systemErrorCode(error) || String(error)}`, {
    cause: error,
  });
}

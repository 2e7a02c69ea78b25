// A folder that appears whole or not at all, and that takes nobody else's files away.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { GuardError } from "../error.ts";

/**
 * Where a folder will really be: symbolic links are followed as far as there is something. Links between folders are relative to that place.
 */
export function realFolder(folder: string): string {
  const whole = path.resolve(folder);
  if (existsSync(whole)) return realpathSync(whole);
  const parent = path.dirname(whole);
  return parent === whole ? whole : path.join(realFolder(parent), path.basename(whole));
}

/**
 * Refuses a folder that has something else in it than files with this mark in front.
 * @throws GuardError `ERR_USAGE` that names what is in the way.
 */
export function checkFolder(folder: string, mark: string): void {
  if (!existsSync(folder)) return;
  if (!lstatSync(folder).isDirectory()) throw new GuardError("ERR_USAGE", `--out ${folder}: this is no folder`);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isDirectory()) continue;
    if (entry.isFile() && readFileSync(file, "utf8").startsWith(mark)) continue;
    throw new GuardError(
      "ERR_USAGE",
      `--out ${folder}: ${path.relative(folder, file)} in it is not from this command; expected a new folder, an empty one, or one that an earlier run has written`,
    );
  }
}

/**
 * Writes a folder in one step; one that was there is replaced. When something fails, all is as it was.
 * @param files their paths in the folder, with their texts.
 */
export function writeFolder(folder: string, files: ReadonlyMap<string, string>): void {
  const parent = path.dirname(folder);
  const made = mkdirSync(parent, { recursive: true });
  let work: string | undefined;
  try {
    work = mkdtempSync(path.join(parent, `.${path.basename(folder)}-`));
    const next = path.join(work, "next");
    for (const [name, text] of files) {
      const file = path.join(next, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    replaceFolder(next, folder, path.join(work, "previous"));
  } catch (error) {
    if (made !== undefined) rmSync(made, { recursive: true, force: true });
    throw error;
  } finally {
    if (work !== undefined) rmSync(work, { recursive: true, force: true });
  }
}

function replaceFolder(next: string, folder: string, previous: string): void {
  const isThere = existsSync(folder);
  if (isThere) renameSync(folder, previous);
  try {
    renameSync(next, folder);
  } catch (error) {
    if (isThere) renameSync(previous, folder);
    throw error;
  }
}

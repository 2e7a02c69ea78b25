// What `mcp-guard check` reads at most. Beyond a bound it stops with a message: a text that was written to exhaust the memory, or a wrong folder,
// gets no answer that looks like one.

/** Bytes of one file, or of the standard input. Istio's own definitions are about 1 MiB. */
export const FILE_BYTES_MAX = 4 << 20;

/** Bytes of all files together. */
export const INPUT_BYTES_MAX = 16 << 20;

/** Files that are read, and entries of folders that are looked at. */
export const FILES_MAX = 2_000;
export const FOLDER_ENTRIES_MAX = 50_000;

/** Documents of one YAML file. */
export const DOCUMENTS_MAX = 5_000;

/** Signs, words and blanks of one YAML file: each costs some hundred bytes of memory while the file is read. */
export const LEXEMES_MAX = 1_000_000;

/** Values of one document once each alias stands for what it names. A few lines of aliases can name billions. */
export const VALUES_MAX = 200_000;

/** Letters of one HCL file, and of all: its parser needs about 10 seconds for a million of them. */
export const HCL_LENGTH_MAX = 256 << 10;
export const HCL_LENGTHS_MAX = 1 << 20;

/** Calls of `jsonencode` in one HCL file that are read, at some milliseconds each; what is beyond is not known. */
export const JSONENCODE_MAX = 500;

/** Kubernetes objects in all. Each workload is held against each object, so the time grows with their square. */
export const OBJECTS_MAX = 5_000;

/** Findings that are told one by one; the others are counted. */
export const FINDINGS_MAX = 5_000;

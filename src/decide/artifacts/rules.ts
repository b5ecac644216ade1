/** What may be an artifact: names and limits (contract: api.md, artifactRefs). */

/** Limits of one attempt. */
export type ArtifactLimits = Readonly<{
  /** Artifacts, i.e. entries of $KRUNTIME_ARTIFACTS_DIR. The CRD's schema has the same number. */
  count: number;
  /** Bytes of one artifact; of a directory, of all files in it before they are packed. */
  bytesEach: number;
  /** Bytes of all artifacts. */
  bytesInAll: number;
  /** Files and directories within one directory artifact: a bound of work and memory. */
  entries: number;
  /** Directories within each other in one directory artifact: a bound of open files. */
  depth: number;
}>;

/** The contract's defaults; the last two are ours. */
export const DEFAULT_LIMITS: ArtifactLimits = {
  count: 32,
  bytesEach: 1024 ** 3,
  bytesInAll: 10 * 1024 ** 3,
  entries: 100_000,
  depth: 64,
};

/** Bytes of the longest name. */
export const MAX_NAME_BYTES = 255;

// C0, DEL, C1, and what reverses or breaks a line where the name is shown.
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

/** A name for a message: quoted, unprintable characters escaped, cut to 80 characters. */
export const shownName = (name: string): string => {
  const text = JSON.stringify(name).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
};

/** What is wrong with an artifact's name, or undefined. It is one segment of a path, whoever writes it anywhere. */
export const nameProblem = (name: string): string | undefined => {
  if (name === '' || name === '.' || name === '..') return 'is no name';
  if (name.includes('/')) return 'has a slash in its name';
  if (name.includes('\ufffd')) return 'has a name that is not UTF-8';
  if (UNPRINTABLE.test(name)) return 'has a control character in its name';
  return Buffer.byteLength(name) > MAX_NAME_BYTES
    ? `has a name of more than ${MAX_NAME_BYTES} bytes`
    : undefined;
};

const TYPES: Readonly<Record<string, string>> = {
  avif: 'image/avif',
  bz2: 'application/x-bzip2',
  css: 'text/css; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  gif: 'image/gif',
  gz: 'application/gzip',
  htm: 'text/html; charset=utf-8',
  html: 'text/html; charset=utf-8',
  ico: 'image/vnd.microsoft.icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  jsonl: 'application/jsonl',
  log: 'text/plain; charset=utf-8',
  md: 'text/markdown; charset=utf-8',
  mp4: 'video/mp4',
  parquet: 'application/vnd.apache.parquet',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  tgz: 'application/gzip',
  txt: 'text/plain; charset=utf-8',
  wasm: 'application/wasm',
  webp: 'image/webp',
  xml: 'application/xml',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  zip: 'application/zip',
  zst: 'application/zstd',
};

/** Media type of an artifact, by what its name ends in; a directory is a gzip of a tar. */
export const contentTypeOf = (name: string, type: 'file' | 'directory'): string => {
  if (type === 'directory') return 'application/gzip';
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 ? name.slice(dot + 1).toLowerCase() : '';
  return (Object.hasOwn(TYPES, extension) ? TYPES[extension] : undefined) ?? 'application/octet-stream';
};
